//! CNI directories of Kubernetes distributions.

use std::path::{Path, PathBuf};

use crate::{Chaining, NodePaths};

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
    /// The part of the API server's version by which a cluster shows that it is this distribution.
    pub version_mark: Option<&'static str>,
    /// The API that only this distribution serves, as GROUP/VERSION.
    pub api_version: Option<&'static str>,
    /// The distribution of which this one is a form: its clusters show that they are the other one.
    pub form_of: Option<&'static str>,
    /// What operators should know.
    pub note: &'static str,
}

/// All known distributions.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        form_of: Some("eks"),
        note: "the usual CNI directories; the root file system is read-only, both directories are \
               writable",
        ..at("bottlerocket", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        version_mark: Some("-eks-"),
        note: "the usual CNI directories",
        ..at("eks", CONVENTION_BIN, CONVENTION_CONF)
    },
    Platform {
        version_mark: Some("-gke."),
        note: "plugins are in /home, because the root file system is read-only",
        ..at("gke", &["/home/kubernetes/bin"], CONVENTION_CONF)
    },
    Platform {
        form_of: Some("k3s"),
        note: "k3s in containers",
        ..at("k3d", &["/var/lib/rancher/k3s/data/cni", "/bin"], K3S_CONF)
    },
    Platform {
        version_mark: Some("+k3s"),
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
        api_version: Some("config.openshift.io/v1"),
        note: "Multus attaches networks one by one; pods request the plugin with a \
               NetworkAttachmentDefinition named mesh-cni",
        ..at("openshift", &["/var/lib/cni/bin"], "/etc/cni/multus/net.d")
    },
    Platform {
        version_mark: Some("+rke2"),
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

/// A name that is not that of a known distribution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a known platform; known are {}", names())]
pub struct UnknownPlatform {
    /// The name.
    pub name: String,
}

impl Platform {
    /// The distribution with this name.
    pub fn named(name: &str) -> Result<&'static Self, UnknownPlatform> {
        let mut platforms = PLATFORMS.iter();
        let known = platforms.find(|platform| platform.name == name);
        known.ok_or_else(|| UnknownPlatform {
            name: name.to_owned(),
        })
    }

    /// The distribution that the API server's version shows, such as gke for `v1.33.1-gke.100`. Many
    /// distributions do not change the version.
    pub fn of_version(version: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| {
            platform
                .version_mark
                .is_some_and(|mark| version.contains(mark))
        })
    }

    /// Its directory of plugin binaries, as the host sees it: the first that exists below that root,
    /// or else the first. It differs between releases of the distribution.
    pub fn bin_dir(&self, host_root: &Path) -> PathBuf {
        let exists = |path: &&&str| {
            let paths = NodePaths {
                bin_dir: host_root.join(path.trim_start_matches('/')),
                host_root: host_root.to_owned(),
                ..NodePaths::default()
            };
            paths.in_host_root().bin_dir.is_dir()
        };
        let mut known = self.bin_dirs.iter();
        let found = known.clone().find(exists).or_else(|| known.next());
        found.map(PathBuf::from).unwrap_or_default()
    }
}

fn names() -> String {
    let names: Vec<_> = PLATFORMS.iter().map(|platform| platform.name).collect();
    names.join(", ")
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
        version_mark: None,
        api_version: None,
        form_of: None,
        note: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_api_servers_show_their_distribution() {
        for (version, name) in [
            ("v1.33.1-gke.100", Some("gke")),
            ("v1.33.5-eks-113cf36", Some("eks")),
            ("v1.33.1+k3s1", Some("k3s")),
            ("v1.33.1-rc1+rke2r1", Some("rke2")),
            ("v1.33.1", None),
            ("v1.33.1-alpha.0", None),
        ] {
            let found = Platform::of_version(version).map(|platform| platform.name);
            assert_eq!(found, name, "{version}");
        }
    }
}
