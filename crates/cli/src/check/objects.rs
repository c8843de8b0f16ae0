//! The other objects that the checks read.

use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::namespace::{Labels, labels};
use mesh_cni_kube::object::Object;
use serde_json::Value;

/// The metadata that is read of every object.
const METADATA: Keep = Keep::Fields(&[
    ("namespace", &Keep::All),
    ("name", &Keep::All),
    ("labels", &Keep::All),
    ("resourceVersion", &Keep::All),
]);

/// What is read of a `DaemonSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DaemonSet {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    /// The node selector of its pods.
    pub(crate) node_selector: Labels,
    /// The arguments of its containers.
    pub(crate) arguments: Vec<String>,
}

impl DaemonSet {
    /// `NAMESPACE/NAME`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The value of a flag of its containers, given as `--FLAG=VALUE`.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        let values = self.arguments.iter();
        let mut values =
            values.filter_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
        values.next()
    }
}

impl Object for DaemonSet {
    const KEEP: &'static Keep = &Keep::Fields(&[
        ("metadata", &METADATA),
        (
            "spec",
            &Keep::Fields(&[(
                "template",
                &Keep::Fields(&[(
                    "spec",
                    &Keep::Fields(&[
                        ("nodeSelector", &Keep::All),
                        (
                            "containers",
                            &Keep::Items(&Keep::Fields(&[("args", &Keep::All)])),
                        ),
                    ]),
                )]),
            )]),
        ),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let (namespace, name) = names(object)?;
        let spec = &object["spec"]["template"]["spec"];
        let containers = spec["containers"].as_array();
        let arguments = containers
            .into_iter()
            .flatten()
            .flat_map(|container| container["args"].as_array().into_iter().flatten());
        Ok(Self {
            namespace,
            name,
            labels: labels(&object["metadata"]["labels"]),
            node_selector: labels(&spec["nodeSelector"]),
            arguments: arguments
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// What is read of a `ConfigMap` of the injector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigMap {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `values`, in which Istio keeps the values of its charts.
    pub(crate) values: Option<String>,
}

impl Object for ConfigMap {
    const KEEP: &'static Keep = &Keep::Fields(&[
        ("metadata", &METADATA),
        ("data", &Keep::Fields(&[("values", &Keep::All)])),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let (namespace, name) = names(object)?;
        Ok(Self {
            namespace,
            name,
            values: object["data"]["values"].as_str().map(str::to_owned),
        })
    }
}

/// An Event about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodEvent {
    /// The pod's UID.
    pub(crate) uid: String,
    pub(crate) message: String,
}

impl Object for PodEvent {
    const KEEP: &'static Keep = &Keep::Fields(&[
        ("metadata", &METADATA),
        ("involvedObject", &Keep::Fields(&[("uid", &Keep::All)])),
        ("message", &Keep::All),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            uid: text(&object["involvedObject"]["uid"]).ok_or("an Event about no object")?,
            message: text(&object["message"]).unwrap_or_default(),
        })
    }
}

fn names(object: &Value) -> Result<(String, String), &'static str> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let metadata = &object["metadata"];
    Ok((
        text(&metadata["namespace"]).ok_or("an object without `metadata.namespace`")?,
        text(&metadata["name"]).ok_or("an object without `metadata.name`")?,
    ))
}
