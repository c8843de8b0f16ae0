//! Calls the plugin as a container runtime does.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{
    Finished, PRODUCTPAGE, PRODUCTPAGE_NAME, cnitool, finish, mesh_cni, reference_plugins,
};

/// An attachment of the documented pod: the directory with its manifest, and the configuration.
#[derive(Debug)]
pub struct Attachment {
    directory: tempfile::TempDir,
    /// The plugin's configuration with the fields that the runtime adds.
    pub conf: Value,
}

impl Attachment {
    /// A directory with the documented pod, and a chained configuration with a back end.
    pub fn new(backend: &str) -> Self {
        Self::with_manifest(backend, "yaml", PRODUCTPAGE)
    }

    /// As [`Attachment::new`], with a manifest in JSON.
    pub fn of_json(backend: &str) -> Self {
        let manifest: Value = serde_saphyr::from_str(PRODUCTPAGE).expect("the manifest is YAML");
        Self::with_manifest(backend, "json", &manifest.to_string())
    }

    fn with_manifest(backend: &str, extension: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let pods = directory.path().join("pods");
        std::fs::create_dir(&pods).expect("the pod directory can be created");
        let manifest = pods.join(format!("default_{PRODUCTPAGE_NAME}.{extension}"));
        std::fs::write(manifest, text).expect("the manifest can be written");
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "type": "mesh-cni",
            "backend": backend,
            "pod_source": "file",
            "pod_dir": pods,
            "cni_agent_run_dir": directory.path().join("run"),
            "prevResult": {
                "cniVersion": "1.0.0",
                "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
                "ips": [{"address": "10.99.0.2/24", "interface": 0}],
                "dns": {}
            }
        });
        Self { directory, conf }
    }

    /// The plugin's entry in a configuration list, without the fields that the runtime adds.
    pub fn entry(&self) -> Value {
        let mut entry = self.conf.clone();
        if let Some(fields) = entry.as_object_mut() {
            for added in ["cniVersion", "name", "prevResult"] {
                fields.remove(added);
            }
        }
        entry
    }

    /// The directory with all files of this attachment.
    pub fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// `CNI_ARGS` of the documented pod.
    pub fn args() -> String {
        format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={PRODUCTPAGE_NAME}")
    }

    /// The command for a call of the plugin.
    pub fn command(cni_command: &str, netns: &Path) -> Command {
        let mut command = Command::new(mesh_cni());
        command
            .env("CNI_COMMAND", cni_command)
            .env("CNI_CONTAINERID", "0123456789abcdef")
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", "/opt/cni/bin")
            .env("CNI_ARGS", Self::args());
        command
    }

    /// Calls the plugin.
    pub fn call(&self, cni_command: &str, netns: &Path) -> Finished {
        let mut command = Self::command(cni_command, netns);
        finish(&mut command, &self.conf.to_string())
    }
}

/// `cnitool` with the network `pod-network`, whose list is in the folder `net.d` of the directory.
///
/// `cnitool` stores results in `/var/lib/cni`; a folder of the directory is mounted over it, in a mount
/// namespace that ends with the call.
pub fn cnitool_command(directory: &Path, cni_command: &str, netns: &Path) -> Command {
    let ours = mesh_cni();
    let ours = ours.parent().expect("a program is in a directory");
    let path = std::env::join_paths([&reference_plugins(), ours]);
    let state = directory.join("state");
    std::fs::create_dir_all(&state).expect("the directory can be written");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /var/lib && exec \"$@\"")
        .args([state, cnitool()])
        .args([cni_command, "pod-network"])
        .arg(netns)
        .env("NETCONFPATH", directory.join("net.d"))
        .env("CNI_PATH", path.expect("no directory has a colon"));
    command
}
