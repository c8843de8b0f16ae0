//! Where things are: named one by one, or by the distribution.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_cni_installer::{NodePaths, PLATFORMS, Platform};

use crate::report::Failure;

#[derive(Args)]
pub(crate) struct PathFlags {
    /// The distribution of this node, which sets both directories and the mode where they are not
    /// given: bottlerocket, gke, k3d, k3s, microk8s, minikube, openshift, rke2 or talos
    #[arg(long, env = "CNI_PLATFORM", value_name = "NAME")]
    platform: Option<String>,
    /// Where the host's root is mounted, for the directories that are not given
    #[arg(long, value_name = "DIR", default_value = "/")]
    host_root: PathBuf,
    /// The directory where the runtime looks for plugins [default: /opt/cni/bin]
    #[arg(long, env = "CNI_BIN_DIR", value_name = "DIR")]
    cni_bin_dir: Option<PathBuf>,
    /// The directory where the runtime looks for network configurations [default: /etc/cni/net.d]
    #[arg(long, env = "MOUNTED_CNI_NET_DIR", value_name = "DIR")]
    cni_conf_dir: Option<PathBuf>,
    /// The directory of the agent's socket, the plugin's log and the kubeconfig, as this program
    /// sees it [default: /run/mesh-cni]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
}

impl PathFlags {
    pub(crate) fn paths(&self) -> Result<NodePaths, Failure> {
        let convention = NodePaths::default();
        let platform = self.platform()?;
        let conf_dir = platform.map_or(convention.conf_dir, |known| known.conf_dir.into());
        Ok(NodePaths {
            bin_dir: self.given(self.cni_bin_dir.as_ref(), || match platform {
                None => convention.bin_dir,
                Some(platform) => self.first_bin_dir(platform),
            }),
            conf_dir: self.given(self.cni_conf_dir.as_ref(), || conf_dir),
            run_dir: self.given(self.run_dir.as_ref(), || convention.run_dir),
            cache_dir: self.given(None, || convention.cache_dir),
        })
    }

    /// Charts set a variable to nothing where they mean no value.
    pub(super) fn platform(&self) -> Result<Option<&'static Platform>, Failure> {
        let given = self.platform.as_deref().filter(|name| !name.is_empty());
        let known = |name: &str| {
            Platform::named(name).ok_or_else(|| {
                let names: Vec<_> = PLATFORMS.iter().map(|platform| platform.name).collect();
                let message = format!("`{name}` is no platform; known are {}", names.join(", "));
                Failure::wrong(
                    message,
                    "name the directories with --cni-bin-dir and --cni-conf-dir",
                )
            })
        };
        given.map(known).transpose()
    }

    /// The run directory that the plugin knows by that path.
    pub(super) fn run_dir(&self, on_host: &Path) -> PathBuf {
        self.given(self.run_dir.as_ref(), || on_host.to_owned())
    }

    fn given(&self, flag: Option<&PathBuf>, default: impl FnOnce() -> PathBuf) -> PathBuf {
        let named = flag.filter(|path| !path.as_os_str().is_empty());
        named.map_or_else(|| self.on_host(&default()), Clone::clone)
    }

    fn on_host(&self, path: &Path) -> PathBuf {
        self.host_root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The first that exists, else the first: releases differ, and what is missing is told by name.
    fn first_bin_dir(&self, platform: &Platform) -> PathBuf {
        let mut known = platform.bin_dirs.iter().map(PathBuf::from);
        let there = known.clone().find(|path| self.on_host(path).is_dir());
        there.or_else(|| known.next()).unwrap_or_default()
    }
}
