//! A node of the cluster, and its distribution.

use mesh_cni_installer::Platform;
use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::namespace::{Labels, labels};
use mesh_cni_kube::object::Object;
use serde_json::Value;

/// What is read of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    /// `spec.providerID`.
    pub(crate) provider: String,
    /// The keys of `spec.taints`.
    pub(crate) taints: Vec<String>,
    /// `status.nodeInfo.kernelVersion`.
    pub(crate) kernel: String,
    /// For example `linux`.
    pub(crate) os: String,
    /// For example `Debian GNU/Linux 12 (bookworm)`.
    pub(crate) os_image: String,
    /// For example `amd64`.
    pub(crate) architecture: String,
    /// For example `containerd://2.1.4`.
    pub(crate) runtime: String,
    /// For example `v1.34.2+k3s1`.
    pub(crate) kubelet: String,
}

/// How a distribution is recognized, if the kubelet's version does not show it.
struct Sign {
    /// Its name. If the installer knows the name, it knows the directories.
    name: &'static str,
    matches: fn(&Node) -> bool,
}

/// More specific signs first: k3d nodes are k3s nodes too, and Bottlerocket runs on EKS.
const SIGNS: &[Sign] = &[
    Sign {
        name: "talos",
        matches: |node| node.os_image.starts_with("Talos"),
    },
    Sign {
        name: "bottlerocket",
        matches: |node| node.os_image.starts_with("Bottlerocket"),
    },
    Sign {
        name: "openshift",
        matches: |node| {
            node.has_label("node.openshift.io/os_id")
                || node.os_image.contains("Enterprise Linux CoreOS")
        },
    },
    Sign {
        name: "k3d",
        matches: |node| node.os_image.starts_with("K3s"),
    },
    Sign {
        name: "k3s",
        matches: |node| node.provider.starts_with("k3s://"),
    },
    Sign {
        name: "rke2",
        matches: |node| node.provider.starts_with("rke2://"),
    },
    Sign {
        name: "microk8s",
        matches: |node| node.has_label("microk8s.io/cluster"),
    },
    Sign {
        name: "minikube",
        matches: |node| node.has_label("minikube.k8s.io/name"),
    },
    Sign {
        name: "gke",
        matches: |node| node.has_label("cloud.google.com/gke-nodepool"),
    },
    Sign {
        name: "eks",
        matches: |node| node.has_label("eks.amazonaws.com/nodegroup"),
    },
    Sign {
        name: "aks",
        matches: |node| {
            node.has_label("kubernetes.azure.com/cluster") || node.kernel.ends_with("-azure")
        },
    },
    Sign {
        name: "kind",
        matches: |node| node.provider.starts_with("kind://"),
    },
];

impl Node {
    /// The name of its distribution, if it is known.
    pub(crate) fn platform(&self) -> Option<&'static str> {
        let sign = SIGNS.iter().find(|sign| (sign.matches)(self));
        let of_version = || Platform::of_version(&self.kubelet).map(|platform| platform.name);
        sign.map(|sign| sign.name).or_else(of_version)
    }

    /// What the installer knows of its distribution; `None` for one with the usual directories.
    pub(crate) fn known_platform(&self) -> Option<&'static Platform> {
        Platform::named(self.platform()?).ok()
    }

    /// Whether a kubelet runs pods there: a virtual node has no CNI chain.
    pub(crate) fn is_linux(&self) -> bool {
        self.os == "linux"
            && self
                .labels
                .get("type")
                .is_none_or(|kind| kind != "virtual-kubelet")
    }

    /// The version of CNI that the runtime uses, as far as its version tells.
    pub(crate) fn cni_version(&self) -> Option<&'static str> {
        let (runtime, version) = self.runtime.split_once("://")?;
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        match (runtime, major, minor) {
            ("containerd", 2.., _) | ("cri-o", 1, 34..) => Some("1.1.0"),
            ("containerd", 1, 6..) => Some("1.0.0"),
            _ => None,
        }
    }

    fn has_label(&self, key: &str) -> bool {
        self.labels.contains_key(key)
    }
}

impl Object for Node {
    const KEEP: &'static Keep = &Keep::Fields(&[
        (
            "metadata",
            &Keep::Fields(&[
                ("name", &Keep::All),
                ("labels", &Keep::All),
                ("resourceVersion", &Keep::All),
            ]),
        ),
        (
            "spec",
            &Keep::Fields(&[
                ("providerID", &Keep::All),
                (
                    "taints",
                    &Keep::Items(&Keep::Fields(&[("key", &Keep::All)])),
                ),
            ]),
        ),
        ("status", &Keep::Fields(&[("nodeInfo", &Keep::All)])),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let info = |field: &str| text(&object["status"]["nodeInfo"][field]);
        let taints = object["spec"]["taints"].as_array();
        Ok(Self {
            name: object["metadata"]["name"]
                .as_str()
                .ok_or("a node without `metadata.name`")?
                .to_owned(),
            labels: labels(&object["metadata"]["labels"]),
            provider: text(&object["spec"]["providerID"]),
            taints: taints
                .into_iter()
                .flatten()
                .map(|taint| text(&taint["key"]))
                .collect(),
            kernel: info("kernelVersion"),
            os: info("operatingSystem"),
            os_image: info("osImage"),
            architecture: info("architecture"),
            runtime: info("containerRuntimeVersion"),
            kubelet: info("kubeletVersion"),
        })
    }
}
