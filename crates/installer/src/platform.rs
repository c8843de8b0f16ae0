//! CNI directories of Kubernetes distributions.

use crate::Chaining;

/// A Kubernetes distribution, with its CNI directories and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name, as in Istio's `global.platform`.
    pub name: &'static str,
    /// Directories of plugin binaries on the host; the first that exists is used.
    pub bin_dirs: &'static [&'static str],
    /// The directory of network configurations on the host.
    pub conf_dir: &'static str,
    /// How the runtime calls the plugin.
    pub chaining: Chaining,
    /// What operators should know.
    pub note: &'static str,
}

/// All known distributions.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        note: "the usual CNI directories; the root file system is read-only, both directories are \
               writable",
        ..at("bottlerocket", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        note: "plugins are in /home, because the root file system is read-only",
        ..at("gke", &["/home/kubernetes/bin"], CONVENTION_CONF)
    },
    Platform {
        note: "k3s in containers",
        ..at("k3d", &["/var/lib/rancher/k3s/data/cni", "/bin"], K3S_CONF)
    },
    Platform {
        note: "older releases keep plugins in a directory of the release; after an upgrade the agent \
               installs the plugin again",
        ..at(
            "k3s",
            &[
                "/var/lib/rancher/k3s/data/cni",
                "/var/lib/rancher/k3s/data/current/bin",
            ],
            K3S_CONF,
        )
    },
    Platform {
        note: "both directories belong to the snap",
        ..at(
            "microk8s",
            &["/var/snap/microk8s/current/opt/cni/bin"],
            "/var/snap/microk8s/current/args/cni-network",
        )
    },
    Platform {
        note: "the usual CNI directories",
        ..at("minikube", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        chaining: Chaining::StandAlone,
        note: "Multus attaches networks one by one; pods request the plugin with a \
               NetworkAttachmentDefinition named mesh-cni",
        ..at("openshift", &["/var/lib/cni/bin"], "/etc/cni/multus/net.d")
    },
    Platform {
        note: "the usual CNI directories",
        ..at("rke2", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        note: "the usual CNI directories; the root file system is read-only, both directories are \
               writable",
        ..at("talos", CONVENTION_BIN, CONVENTION_CONF)
    },
];

const CONVENTION_BIN: &[&str] = &["/opt/cni/bin"];
const CONVENTION_CONF: &str = "/etc/cni/net.d";
const K3S_CONF: &str = "/var/lib/rancher/k3s/agent/etc/cni/net.d";

impl Platform {
    /// The distribution with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| platform.name == name)
    }
}

const fn at(
    name: &'static str,
    bin_dirs: &'static [&'static str],
    conf_dir: &'static str,
) -> Platform {
    Platform {
        name,
        bin_dirs,
        conf_dir,
        chaining: Chaining::Chained,
        note: "",
    }
}
