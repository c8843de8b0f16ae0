//! Where the runtimes of well-known distributions look, as data.

use crate::Chaining;

/// A distribution of Kubernetes whose directories are not those of the convention, or whose nodes
/// need another mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name, as operators of Istio know it.
    pub name: &'static str,
    /// Directories of plugin binaries, as the host sees them: the first that exists is meant.
    pub bin_dirs: &'static [&'static str],
    /// The directory of network configurations, as the host sees it.
    pub conf_dir: &'static str,
    /// How the plugin comes to be called there.
    pub chaining: Chaining,
    /// What to know about it.
    pub note: &'static str,
}

/// Every distribution that is known by name.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        note: "the directories of the CNI convention; root file system read-only, both directories \
               writable",
        ..at("bottlerocket", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        note: "plugins are in /home, since the root file system is read-only",
        ..at("gke", &["/home/kubernetes/bin"], CONVENTION_CONF)
    },
    Platform {
        note: "k3s in containers",
        ..at("k3d", &["/var/lib/rancher/k3s/data/cni", "/bin"], K3S_CONF)
    },
    Platform {
        note: "older releases keep plugins in the directory of the release, and an upgrade leaves \
               ours behind: the agent puts it back",
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
        note: "both directories are the snap's",
        ..at(
            "microk8s",
            &["/var/snap/microk8s/current/opt/cni/bin"],
            "/var/snap/microk8s/current/args/cni-network",
        )
    },
    Platform {
        note: "the directories of the CNI convention",
        ..at("minikube", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        chaining: Chaining::StandAlone,
        note: "Multus attaches networks one by one: pods ask for ours by a \
               NetworkAttachmentDefinition named mesh-cni",
        ..at("openshift", &["/var/lib/cni/bin"], "/etc/cni/multus/net.d")
    },
    Platform {
        note: "the directories of the CNI convention",
        ..at("rke2", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        note: "the directories of the CNI convention; root file system read-only, both directories \
               writable",
        ..at("talos", CONVENTION_BIN, CONVENTION_CONF)
    },
];

const CONVENTION_BIN: &[&str] = &["/opt/cni/bin"];
const CONVENTION_CONF: &str = "/etc/cni/net.d";
const K3S_CONF: &str = "/var/lib/rancher/k3s/agent/etc/cni/net.d";

impl Platform {
    /// The distribution of that name.
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
