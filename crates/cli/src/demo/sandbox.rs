//! The sandbox of a demo pod: its network namespace, held by a process that does nothing else.

use std::fs;
use std::path::PathBuf;

use mesh_cni_netns::NetNs;
use mesh_cni_selector::PodFacts;

use super::error::DemoError;
use super::node::Node;
use super::process::{Process, User};
use super::wait::Wait;

/// The description of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PodSpec {
    /// The name in the output.
    pub(crate) name: &'static str,
    pub(crate) manifest: &'static str,
    /// The address in the manifest, which host-local is asked for.
    pub(crate) address: &'static str,
}

#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) container_id: String,
    pub(crate) facts: PodFacts,
    pub(crate) netns: NetNs,
    pub(crate) pause: Process,
    address: &'static str,
}

impl Sandbox {
    /// Starts the process, and writes the manifest for the plugin.
    pub(crate) fn start(spec: PodSpec, node: &Node, wait: Wait<'_>) -> Result<Self, DemoError> {
        let facts = PodFacts::from_manifest(spec.manifest)
            .expect("the manifests of the demo are valid, which the root tests check");
        let path = manifest_path(&facts, node);
        fs::write(&path, spec.manifest)
            .map_err(DemoError::system(format!("write `{}`", path.display())))?;
        let pause = Process::start(&node.netns, User::ROOT, &["pause"], wait)?;
        let netns = NetNs::open(&netns_path(&pause))?;
        Ok(Self {
            container_id: format!("demo-{}", spec.name),
            facts,
            netns,
            pause,
            address: spec.address,
        })
    }

    /// The path of the pod's manifest on the demo's node.
    pub(crate) fn manifest_path(&self, node: &Node) -> PathBuf {
        manifest_path(&self.facts, node)
    }

    /// The value of `CNI_NETNS`.
    pub(crate) fn netns_path(&self) -> PathBuf {
        netns_path(&self.pause)
    }

    /// The value of `CNI_ARGS`.
    pub(crate) fn cni_args(&self) -> String {
        format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_UID={};\
             K8S_POD_INFRA_CONTAINER_ID={};IP={}",
            self.facts.namespace,
            self.facts.name,
            self.facts.uid.as_deref().unwrap_or_default(),
            self.container_id,
            self.address,
        )
    }
}

fn manifest_path(facts: &PodFacts, node: &Node) -> PathBuf {
    let name = format!("{}_{}.yaml", facts.namespace, facts.name);
    node.pod_dir().join(name)
}

fn netns_path(pause: &Process) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/net", pause.pid()))
}
