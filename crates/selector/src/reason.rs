//! Why a pod's traffic is left alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::istio::{DISABLE_ENVOY, INIT_CONTAINER, INJECT, PROXY_CONTAINER, SIDECAR_TYPE, STATUS};
use crate::labels::LabelSelector;
use crate::namespaces::{NamespacePattern, NamespaceSet};
use crate::quoted::{Quoted, QuotedList};

/// The one fact that keeps a pod out.
///
/// Displayed it is a phrase for people that names the fact and its value; [`code`](Self::code) is
/// for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The pod shares the node's network namespace, and rules there would cut off the node.
    HostNetwork,
    /// The pod's namespace is excluded by name.
    NamespaceExcluded {
        /// The pod's namespace.
        namespace: String,
        /// The first pattern that covers it.
        pattern: NamespacePattern,
    },
    /// There is a list of included namespaces, and the pod's is not on it.
    NamespaceNotIncluded {
        /// The pod's namespace.
        namespace: String,
        /// The list.
        included: NamespaceSet,
    },
    /// The pod's namespace is excluded by its labels.
    NamespaceLabelsExcluded {
        /// The pod's namespace.
        namespace: String,
        /// The selector that its labels match.
        selector: LabelSelector,
    },
    /// No container that stays is named `istio-proxy`.
    NoIstioProxy {
        /// The names of the containers that stay: ordinary ones and native sidecars.
        containers: Vec<String>,
        /// The names of the init containers that end, which do not count.
        init_containers: Vec<String>,
    },
    /// The proxy would have nobody to stand beside.
    SingleContainer {
        /// The names of the containers that stay: none or one.
        containers: Vec<String>,
    },
    /// The pod declines injection by `sidecar.istio.io/inject`.
    InjectionDisabled {
        /// Where it says so.
        source: InjectSource,
        /// The value, one of Go's spellings of false.
        value: String,
    },
    /// The annotation `sidecar.istio.io/inject` is `true`, which the document, as printed, excludes.
    InjectAnnotationTrue,
    /// An `istio-init` container redirects the pod's traffic by itself.
    IstioInitPresent {
        /// The list it stands in.
        list: ContainerList,
    },
    /// The proxy container runs without Envoy.
    EnvoyDisabled {
        /// The value of `DISABLE_ENVOY`, one of Go's spellings of true.
        value: String,
    },
    /// The proxy is a gateway or another type that stands beside no application.
    NotASidecarProxy {
        /// The type, which is the argument after `proxy`.
        proxy_type: String,
    },
    /// No injector has left its mark on the pod.
    NoStatusAnnotation,
}

/// Where a pod carries `sidecar.istio.io/inject`. The label beats the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InjectSource {
    /// Among the labels.
    Label,
    /// Among the annotations.
    Annotation,
}

/// One of the two lists of containers in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerList {
    /// `spec.containers`.
    Containers,
    /// `spec.initContainers`.
    InitContainers,
}

impl SkipReason {
    /// The reason's stable name in kebab case, for metrics, logs and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::NamespaceExcluded { .. } => "namespace-excluded",
            Self::NamespaceNotIncluded { .. } => "namespace-not-included",
            Self::NamespaceLabelsExcluded { .. } => "namespace-labels-excluded",
            Self::NoIstioProxy { .. } => "no-istio-proxy",
            Self::SingleContainer { .. } => "single-container",
            Self::InjectionDisabled { .. } => "injection-disabled",
            Self::InjectAnnotationTrue => "inject-annotation-true",
            Self::IstioInitPresent { .. } => "istio-init-present",
            Self::EnvoyDisabled { .. } => "envoy-disabled",
            Self::NotASidecarProxy { .. } => "not-a-sidecar-proxy",
            Self::NoStatusAnnotation => "no-status-annotation",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => {
                f.write_str("the pod has `hostNetwork: true`, so its network is the node's own")
            }
            Self::NamespaceExcluded { namespace, pattern } => {
                let namespace = Quoted(namespace);
                write!(f, "namespace {namespace} is excluded by `{pattern}`")
            }
            Self::NamespaceNotIncluded {
                namespace,
                included,
            } => {
                let namespace = Quoted(namespace);
                write!(
                    f,
                    "namespace {namespace} is not among the included ones, `{included}`"
                )
            }
            Self::NamespaceLabelsExcluded {
                namespace,
                selector,
            } => {
                let namespace = Quoted(namespace);
                write!(
                    f,
                    "namespace {namespace} is excluded by its labels, which match `{selector}`"
                )
            }
            Self::NoIstioProxy {
                containers,
                init_containers,
            } => no_istio_proxy(f, containers, init_containers),
            Self::SingleContainer { containers } => {
                let (count, names) = (containers.len(), QuotedList(containers));
                write!(
                    f,
                    "more than one container is needed, and the pod has {count}: {names}"
                )
            }
            Self::InjectionDisabled { source, value } => {
                write!(f, "the pod's {source} `{INJECT}` is {}", Quoted(value))
            }
            Self::InjectAnnotationTrue => {
                write!(
                    f,
                    "the pod's annotation `{INJECT}` is `true`, which `asm-literal` excludes"
                )
            }
            Self::IstioInitPresent { list } => {
                write!(
                    f,
                    "`{INIT_CONTAINER}` among the {list} redirects the pod's traffic by itself"
                )
            }
            Self::EnvoyDisabled { value } => {
                let value = Quoted(value);
                write!(
                    f,
                    "variable `{DISABLE_ENVOY}` of container `{PROXY_CONTAINER}` is {value}"
                )
            }
            Self::NotASidecarProxy { proxy_type } => {
                let found = Quoted(proxy_type);
                write!(
                    f,
                    "`{PROXY_CONTAINER}` is a proxy of type {found}, not `{SIDECAR_TYPE}`"
                )
            }
            Self::NoStatusAnnotation => {
                write!(
                    f,
                    "the pod has no annotation `{STATUS}`, so no injector has changed it"
                )
            }
        }
    }
}

impl fmt::Display for InjectSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "label",
            Self::Annotation => "annotation",
        })
    }
}

impl fmt::Display for ContainerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Containers => "containers",
            Self::InitContainers => "init containers",
        })
    }
}

fn no_istio_proxy(
    f: &mut fmt::Formatter<'_>,
    containers: &[String],
    init_containers: &[String],
) -> fmt::Result {
    let names = QuotedList(containers);
    write!(
        f,
        "none of the pod's containers is named `{PROXY_CONTAINER}`: {names}"
    )?;
    if init_containers.iter().any(|name| name == PROXY_CONTAINER) {
        f.write_str(
            "; the init container of that name has no `restartPolicy: Always`, so it ends",
        )?;
    }
    Ok(())
}
