//! The flags for directories, set one by one or by the distribution of the node.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_cni_installer::{NodePaths, Platform};

use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct PathFlags {
    /// The distribution of this node, which sets the defaults of both directories and the mode:
    /// bottlerocket, eks, gke, k3d, k3s, microk8s, minikube, openshift, rke2 or talos
    #[arg(long, env = "CNI_PLATFORM", value_name = "NAME")]
    platform: Option<String>,
    /// Where the host's root is mounted; applies to directories without a flag
    #[arg(long, value_name = "DIR", default_value = "/")]
    host_root: PathBuf,
    /// The directory where the runtime looks for plugins [default: /opt/cni/bin]
    #[arg(long, env = "CNI_BIN_DIR", value_name = "DIR")]
    cni_bin_dir: Option<PathBuf>,
    /// The directory where the runtime looks for network configurations [default: /etc/cni/net.d]
    #[arg(long, env = "MOUNTED_CNI_NET_DIR", value_name = "DIR")]
    cni_conf_dir: Option<PathBuf>,
    /// The directory of the agent's socket, the plugin's log and the kubeconfig, as this program sees
    /// it [default: /run/mesh-cni]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
}

impl PathFlags {
    pub(crate) fn paths(&self) -> Result<NodePaths, Failure> {
        let convention = NodePaths::default();
        let platform = self.platform()?;
        let conf_dir = platform.map_or(convention.conf_dir, |known| known.conf_dir.into());
        Ok(NodePaths {
            bin_dir: self.path(self.cni_bin_dir.as_ref(), || match platform {
                None => convention.bin_dir,
                Some(platform) => platform.bin_dir(&self.host_root),
            }),
            conf_dir: self.path(self.cni_conf_dir.as_ref(), || conf_dir),
            run_dir: self.path(self.run_dir.as_ref(), || convention.run_dir),
            cache_dir: self.path(None, || convention.cache_dir),
            host_root: self.host_root.clone(),
        })
    }

    /// The platform. Charts set the variable to an empty string for none.
    pub(super) fn platform(&self) -> Result<Option<&'static Platform>, Failure> {
        let name = self.platform.as_deref().filter(|name| !name.is_empty());
        name.map(|name| {
            Platform::named(name).map_err(|error| {
                let hint = "set the directories with --cni-bin-dir and --cni-conf-dir";
                Failure::wrong_use(&error, hint)
            })
        })
        .transpose()
    }

    /// The run directory, whose path on the host is given.
    pub(super) fn run_dir(&self, on_host: &Path) -> PathBuf {
        self.path(self.run_dir.as_ref(), || on_host.to_owned())
    }

    fn path(&self, flag: Option<&PathBuf>, default: impl FnOnce() -> PathBuf) -> PathBuf {
        flag.filter(|path| !path.as_os_str().is_empty())
            .map_or_else(|| self.on_host(&default()), Clone::clone)
    }

    fn on_host(&self, path: &Path) -> PathBuf {
        self.host_root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
