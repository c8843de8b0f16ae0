//! Why a pod's traffic is not redirected.

mod ambient;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::labels::LabelSelector;
use crate::mesh::istio::{
    DISABLE_ENVOY, INJECT, INTERCEPTION_MODE, PROXY_CONTAINER, PROXY_INTERCEPTION_MODE,
    SIDECAR_TYPE, STATUS,
};
use crate::mesh::kuma::INJECTED;
use crate::mesh::{Mesh, MeshSet};
use crate::namespaces::{NamespacePattern, NamespaceSet};
use crate::quoted::{Quoted, QuotedList};

pub use self::ambient::NotAmbient;

/// Why a pod's traffic is not redirected.
///
/// `Display` prints a sentence with the fact that decided; [`code`](Self::code) is for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The pod uses the node's network namespace, where rules would cut off the node.
    HostNetwork,
    /// The pod's namespace is excluded by name.
    NamespaceExcluded {
        /// The pod's namespace.
        namespace: String,
        /// The first pattern that matches it.
        pattern: NamespacePattern,
    },
    /// The pod's namespace is not among the included namespaces.
    NamespaceNotIncluded {
        /// The pod's namespace.
        namespace: String,
        /// The included namespaces.
        included: NamespaceSet,
    },
    /// The pod's namespace is excluded by its labels.
    NamespaceLabelsExcluded {
        /// The pod's namespace.
        namespace: String,
        /// The selector that matches its labels.
        selector: LabelSelector,
    },
    /// No regular container or native sidecar is a mesh's proxy.
    NoProxy {
        /// The meshes whose pods are redirected.
        meshes: MeshSet,
        /// The names of the regular containers and native sidecars.
        containers: Vec<String>,
        /// The names of the other init containers, which do not count.
        init_containers: Vec<String>,
    },
    /// The pod has no other container than the proxy.
    SingleContainer {
        /// The names of the regular containers and native sidecars: none or one.
        containers: Vec<String>,
    },
    /// The pod disables injection with `sidecar.istio.io/inject`.
    InjectionDisabled {
        /// Whether the label or the annotation decides.
        source: InjectSource,
        /// The value, one of Go's spellings of false.
        value: String,
    },
    /// The annotation `sidecar.istio.io/inject` is `true`, which the document, as printed, excludes.
    InjectAnnotationTrue,
    /// A container of the mesh, such as `istio-init`, redirects the pod's traffic by itself.
    InitPresent {
        /// The mesh.
        mesh: Mesh,
        /// The list that contains it.
        list: ContainerList,
    },
    /// The proxy container runs without Envoy.
    EnvoyDisabled {
        /// The value of `DISABLE_ENVOY`, one of Go's spellings of true.
        value: String,
    },
    /// The proxy is a gateway or of another type that runs without an application.
    NotASidecarProxy {
        /// The type: the argument after `proxy`.
        proxy_type: String,
    },
    /// The pod's annotation `kuma.io/sidecar-injected` is not `true`.
    NotInjected {
        /// The value; `None` if the pod has no such annotation.
        value: Option<String>,
    },
    /// The pod has no annotation `sidecar.istio.io/status`.
    NoStatusAnnotation,
    /// The interception mode is `NONE`: the pod has a proxy that is reached without redirection.
    ModeNone {
        /// Where the pod sets the mode.
        source: ModeSource,
    },
    /// Ambient mode does not apply to the pod.
    NotAmbient(NotAmbient),
}

/// Where a pod sets its interception mode. The annotation has precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeSource {
    /// In the annotation `sidecar.istio.io/interceptionMode`.
    Annotation,
    /// In the proxy's variable `ISTIO_META_INTERCEPTION_MODE`, which the injector sets from the
    /// mesh's configuration.
    Environment,
}

/// Where a pod sets `sidecar.istio.io/inject`. The label has precedence over the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InjectSource {
    /// In the labels.
    Label,
    /// In the annotations.
    Annotation,
}

/// One of a pod's two lists of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerList {
    /// `spec.containers`.
    Containers,
    /// `spec.initContainers`.
    InitContainers,
}

impl SkipReason {
    /// Every [`code`](Self::code).
    pub const CODES: [&str; 20] = [
        "host-network",
        "namespace-excluded",
        "namespace-not-included",
        "namespace-labels-excluded",
        "no-istio-proxy",
        "single-container",
        "injection-disabled",
        "inject-annotation-true",
        "istio-init-present",
        "envoy-disabled",
        "not-a-sidecar-proxy",
        "no-status-annotation",
        "mode-none",
        "no-proxy",
        "init-present",
        "not-injected",
        "ztunnel",
        "sidecar-injected",
        "sidecar-present",
        "not-enabled",
    ];

    /// A stable name in kebab case, for metrics, logs and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::NamespaceExcluded { .. } => "namespace-excluded",
            Self::NamespaceNotIncluded { .. } => "namespace-not-included",
            Self::NamespaceLabelsExcluded { .. } => "namespace-labels-excluded",
            Self::NoProxy { meshes, .. } => match meshes.only() {
                Some(Mesh::Istio) => "no-istio-proxy",
                Some(Mesh::Linkerd | Mesh::Kuma | Mesh::Ambient) | None => "no-proxy",
            },
            Self::SingleContainer { .. } => "single-container",
            Self::InjectionDisabled { .. } => "injection-disabled",
            Self::InjectAnnotationTrue => "inject-annotation-true",
            Self::InitPresent { mesh, .. } => match mesh {
                Mesh::Istio => "istio-init-present",
                Mesh::Linkerd | Mesh::Kuma | Mesh::Ambient => "init-present",
            },
            Self::EnvoyDisabled { .. } => "envoy-disabled",
            Self::NotASidecarProxy { .. } => "not-a-sidecar-proxy",
            Self::NotInjected { .. } => "not-injected",
            Self::NoStatusAnnotation => "no-status-annotation",
            Self::ModeNone { .. } => "mode-none",
            Self::NotAmbient(reason) => reason.code(),
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => {
                f.write_str("the pod has `hostNetwork: true`, so it shares the node's network")
            }
            Self::NamespaceExcluded { namespace, pattern } => write!(
                f,
                "namespace {} matches `{pattern}` in `exclude_namespaces`",
                Quoted(namespace)
            ),
            Self::NamespaceNotIncluded {
                namespace,
                included,
            } => write!(
                f,
                "namespace {} is not in `include_namespaces`, which is `{included}`",
                Quoted(namespace)
            ),
            Self::NamespaceLabelsExcluded {
                namespace,
                selector,
            } => write!(
                f,
                "the labels of namespace {} match `exclude_namespace_selector`, which is `{selector}`",
                Quoted(namespace)
            ),
            Self::NoProxy {
                meshes,
                containers,
                init_containers,
            } => write_no_proxy(f, *meshes, containers, init_containers),
            Self::SingleContainer { containers } => {
                let (count, names) = (containers.len(), QuotedList(containers));
                write!(
                    f,
                    "the pod needs at least 2 containers, but has {count}: {names}"
                )
            }
            Self::InjectionDisabled { source, value } => {
                write!(f, "the pod's {source} `{INJECT}` is {}", Quoted(value))
            }
            Self::InjectAnnotationTrue => write!(
                f,
                "the pod's annotation `{INJECT}` is `true`, which `asm-literal` excludes"
            ),
            Self::InitPresent { mesh, list } => write!(
                f,
                "the pod's {list} include `{}`, which redirects its traffic",
                mesh.marks().map_or("", |marks| marks.init)
            ),
            Self::EnvoyDisabled { value } => write!(
                f,
                "environment variable `{DISABLE_ENVOY}` of container `{PROXY_CONTAINER}` is {}",
                Quoted(value)
            ),
            Self::NotASidecarProxy { proxy_type } => write!(
                f,
                "`{PROXY_CONTAINER}` is a proxy of type {}, not `{SIDECAR_TYPE}`",
                Quoted(proxy_type)
            ),
            Self::NotInjected { value: None } => write!(
                f,
                "the pod has no annotation `{INJECTED}`, so Kuma injected no sidecar"
            ),
            Self::NotInjected { value: Some(value) } => write!(
                f,
                "the pod's annotation `{INJECTED}` is {}, not `true`",
                Quoted(value)
            ),
            Self::NoStatusAnnotation => write!(
                f,
                "the pod has no annotation `{STATUS}`, so no sidecar was injected"
            ),
            Self::ModeNone { source } => write!(
                f,
                "mode NONE: the pod's {source} asks for a proxy without redirection"
            ),
            Self::NotAmbient(reason) => reason.fmt(f),
        }
    }
}

fn write_no_proxy(
    f: &mut fmt::Formatter<'_>,
    meshes: MeshSet,
    containers: &[String],
    init_containers: &[String],
) -> fmt::Result {
    let names = proxy_names(meshes);
    write!(
        f,
        "none of the pod's containers is named `{}`: {}",
        names.join("` or `"),
        QuotedList(containers)
    )?;
    for name in names {
        if init_containers.iter().any(|other| other == name) {
            write!(
                f,
                "; init container `{name}` has no `restartPolicy: Always`, so it is not a sidecar"
            )?;
        }
    }
    Ok(())
}

/// The names of the proxies of the meshes with sidecars.
fn proxy_names(meshes: MeshSet) -> Vec<&'static str> {
    let marks = meshes.iter().filter_map(Mesh::marks);
    marks.map(|marks| marks.proxy).collect()
}

impl ModeSource {
    /// The name of the annotation or variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Annotation => INTERCEPTION_MODE,
            Self::Environment => PROXY_INTERCEPTION_MODE,
        }
    }
}

impl fmt::Display for ModeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Annotation => write!(f, "annotation `{name}`"),
            Self::Environment => {
                write!(
                    f,
                    "environment variable `{name}` of container `{PROXY_CONTAINER}`"
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
