//! A pod of the demo: its sandbox, its place in the network, its processes.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use mesh_cni_netns::NetNs;
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::CniResult;
use serde_json::Value;

use super::child::{Owner, Process};
use super::error::DemoError;
use super::node::Node;
use super::patience::Patience;
use super::runtime::{Called, Runtime};

/// A pod as it is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// What people call it.
    pub(crate) name: &'static str,
    pub(crate) manifest: &'static str,
    /// The address in the manifest, which it asks host-local for.
    pub(crate) address: &'static str,
}

/// What a runtime knows of a pod: a namespace, held by a process that does nothing else.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) container_id: String,
    pub(crate) facts: PodFacts,
    pub(crate) netns: NetNs,
    address: &'static str,
    pause: Process,
}

/// A pod in the network.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) sandbox: Sandbox,
    /// What the last plugin answered to ADD; none before.
    pub(crate) result: Option<Value>,
    /// The containers; none outlives the sandbox.
    pub(crate) containers: Vec<Process>,
}

impl Sandbox {
    fn new(script: Script, node: &Node, patience: Patience<'_>) -> Result<Self, DemoError> {
        let facts = PodFacts::from_manifest(script.manifest)
            .expect("the manifests in this program are Pods, which a test reads");
        let path = node
            .pod_dir()
            .join(format!("{}_{}.yaml", facts.namespace, facts.name));
        let write = DemoError::system(format!("write `{}`", path.display()));
        fs::write(&path, script.manifest).map_err(write)?;
        let pause = Process::start(&node.netns, Owner::ROOT, &["pause"], patience)?;
        let netns = NetNs::open(&netns_path(&pause))?;
        Ok(Self {
            container_id: format!("demo-{}", script.name),
            facts,
            netns,
            address: script.address,
            pause,
        })
    }

    /// The path that goes into `CNI_NETNS`.
    pub(crate) fn netns_path(&self) -> PathBuf {
        netns_path(&self.pause)
    }

    /// The value of `CNI_ARGS`.
    pub(crate) fn arguments(&self) -> String {
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

impl Pod {
    /// A sandbox that no plugin has seen yet.
    pub(crate) fn new(
        script: Script,
        node: &Node,
        patience: Patience<'_>,
    ) -> Result<Self, DemoError> {
        Ok(Self {
            name: script.name,
            sandbox: Sandbox::new(script, node, patience)?,
            result: None,
            containers: Vec::new(),
        })
    }

    /// Puts it into the network.
    pub(crate) fn attach(
        &mut self,
        runtime: &Runtime<'_>,
        patience: Patience<'_>,
    ) -> Result<Vec<Called>, DemoError> {
        let called = runtime.add(&self.sandbox, patience)?;
        self.result = called.last().map(|called| called.result.clone());
        Ok(called)
    }

    /// The address that it got.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let result = CniResult::from_value(self.result.as_ref()?).ok()?;
        result.ips.first().map(|first| first.address.ip())
    }

    /// A port at its address.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        SocketAddr::new(self.address().unwrap_or(nowhere), port)
    }

    /// Starts one of its containers.
    pub(crate) fn start(
        &mut self,
        owner: Owner,
        arguments: &[&str],
        patience: Patience<'_>,
    ) -> Result<(), DemoError> {
        let process = Process::start(&self.sandbox.netns, owner, arguments, patience)?;
        self.containers.push(process);
        Ok(())
    }

    /// The container that plays this role.
    pub(crate) fn container(&self, role: &str) -> Result<&Process, DemoError> {
        let mut containers = self.containers.iter();
        let found = containers.find(|process| process.role == role);
        found.ok_or_else(|| DemoError::Missing {
            program: role.to_owned(),
            searched: format!("the containers of {}", self.name),
        })
    }

    /// Its processes, the sandbox's own last.
    pub(crate) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let pause = &mut self.sandbox.pause;
        self.containers.iter_mut().chain([pause])
    }
}

fn netns_path(pause: &Process) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/net", pause.pid()))
}
