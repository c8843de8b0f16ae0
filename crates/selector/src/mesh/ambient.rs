//! Istio's ambient mode: which pods ztunnel, the proxy of the node, serves.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::labels::LabelSelector;

/// The domains of the annotations that configure a pod in ambient mode.
pub(super) const DOMAINS: &[&str] = &["ambient.istio.io", "istio.io"];

/// The label of ztunnel's own pods, and its value.
pub(crate) const ZTUNNEL_LABEL: (&str, &str) = ("app", "ztunnel");

/// The label that Istio's own selectors read, of pods and namespaces.
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";

/// Which pods are in ambient mode.
///
/// The default is that of Istio's chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmbientPolicy {
    /// A pod is selected if one of these matches.
    pub selectors: Vec<EnablementSelector>,
    /// The namespace of ztunnel, whose own pods are never selected.
    pub system_namespace: String,
}

/// Selects pods by their labels and those of their namespace.
///
/// In JSON it is an object with Kubernetes label selectors in `podSelector` and `namespaceSelector`. A
/// selector that is missing or empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct EnablementSelector {
    /// Must match the labels of the pod; `None` matches every pod.
    pub pod: Option<LabelSelector>,
    /// Must match the labels of the namespace; `None` matches every namespace.
    pub namespace: Option<LabelSelector>,
}

impl AmbientPolicy {
    /// Selects no pod.
    pub fn none() -> Self {
        Self {
            selectors: Vec::new(),
            system_namespace: String::new(),
        }
    }

    /// The keys of the labels of namespaces that the selectors read.
    pub fn namespace_label_keys(&self) -> impl Iterator<Item = &str> {
        let of_namespaces = self
            .selectors
            .iter()
            .filter_map(|each| each.namespace.as_ref());
        of_namespaces.flat_map(LabelSelector::keys)
    }

    /// The labels that the selectors read, as a person needs them to see why none matches.
    pub(crate) fn describe(
        &self,
        pod: &BTreeMap<String, String>,
        namespace: Option<&BTreeMap<String, String>>,
    ) -> Vec<String> {
        let of_pods = self.selectors.iter().filter_map(|each| each.pod.as_ref());
        let mut keys: Vec<_> = of_pods.flat_map(LabelSelector::keys).collect();
        let described = |subject: &str, keys: &mut Vec<&str>, labels: &BTreeMap<String, String>| {
            keys.sort_unstable();
            keys.dedup();
            let label = |key: &&str| match labels.get(*key) {
                Some(value) => format!("{subject} has `{key}={value}`"),
                None => format!("{subject} has no `{key}`"),
            };
            keys.iter().map(label).collect::<Vec<_>>()
        };
        let mut all = described("the pod", &mut keys, pod);
        if let Some(labels) = namespace {
            let mut keys = self.namespace_label_keys().collect();
            all.extend(described("its namespace", &mut keys, labels));
        }
        all
    }
}

impl Default for AmbientPolicy {
    fn default() -> Self {
        let selector = |text: &str| text.parse().expect("a valid selector");
        let is_ambient: LabelSelector = selector(&format!("{DATAPLANE_MODE}=ambient"));
        Self {
            selectors: vec![
                EnablementSelector {
                    pod: Some(is_ambient.clone()),
                    namespace: None,
                },
                EnablementSelector {
                    pod: Some(selector(&format!("{DATAPLANE_MODE}!=none"))),
                    namespace: Some(is_ambient),
                },
            ],
            system_namespace: "istio-system".to_owned(),
        }
    }
}

impl EnablementSelector {
    /// Whether it selects the pod; `None` if that depends on the labels of the namespace, which are
    /// not known.
    pub(crate) fn matches(
        &self,
        pod: &BTreeMap<String, String>,
        namespace: Option<&BTreeMap<String, String>>,
    ) -> Option<bool> {
        let pod_matches = self
            .pod
            .as_ref()
            .is_none_or(|selector| selector.matches(pod));
        match &self.namespace {
            Some(selector) if pod_matches => namespace.map(|labels| selector.matches(labels)),
            _ => Some(pod_matches),
        }
    }
}

impl TryFrom<Map<String, Value>> for EnablementSelector {
    type Error = String;

    fn try_from(mut object: Map<String, Value>) -> Result<Self, String> {
        let mut selector = |field: &str| match object.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                LabelSelector::from_object(value).map_err(|error| format!("{field}: {error}"))
            }
        };
        let (pod, namespace) = (selector("podSelector")?, selector("namespaceSelector")?);
        match object.keys().next() {
            Some(unknown) => Err(format!(
                "unknown field `{unknown}`, expected `podSelector` or `namespaceSelector`"
            )),
            None => Ok(Self { pod, namespace }),
        }
    }
}

impl fmt::Display for EnablementSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.pod, &self.namespace) {
            (None, None) => f.write_str("every pod"),
            (Some(pod), None) => write!(f, "pod `{pod}`"),
            (None, Some(namespace)) => write!(f, "namespace `{namespace}`"),
            (Some(pod), Some(namespace)) => write!(f, "pod `{pod}` and namespace `{namespace}`"),
        }
    }
}
