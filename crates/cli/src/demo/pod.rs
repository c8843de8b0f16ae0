//! A pod of the demo: its sandbox, its addresses, its containers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_cni_spec::{CniResult, IpConfig};
use serde_json::Value;

use super::error::DemoError;
use super::node::Node;
use super::process::{Process, User};
use super::runtime::{PluginResult, Runtime};
use super::sandbox::{PodSpec, Sandbox};
use super::wait::Wait;

#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) sandbox: Sandbox,
    /// The result of ADD; none before.
    pub(crate) result: Option<Value>,
    /// The running containers, one process each.
    pub(crate) containers: Vec<Process>,
}

impl Pod {
    /// A pod without network and containers.
    pub(crate) fn new(spec: PodSpec, node: &Node, wait: Wait<'_>) -> Result<Self, DemoError> {
        Ok(Self {
            name: spec.name,
            sandbox: Sandbox::start(spec, node, wait)?,
            result: None,
            containers: Vec::new(),
        })
    }

    /// Calls ADD of all plugins.
    pub(crate) fn attach(
        &mut self,
        runtime: &Runtime<'_>,
        wait: Wait<'_>,
    ) -> Result<Vec<PluginResult>, DemoError> {
        let results = runtime.add(&self.sandbox, wait)?;
        self.result = results.last().map(|last| last.result.clone());
        Ok(results)
    }

    /// The address from ADD.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.first_ip().map(|ip| ip.address.ip())
    }

    /// The gateway from ADD, or `0.0.0.0`.
    pub(crate) fn gateway(&self) -> IpAddr {
        let gateway = self.first_ip().and_then(|ip| ip.gateway);
        gateway.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    /// A port at the pod's address.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        let address = self.address().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        SocketAddr::new(address, port)
    }

    fn first_ip(&self) -> Option<IpConfig> {
        let result = CniResult::from_value(self.result.as_ref()?).ok()?;
        result.ips.into_iter().next()
    }

    /// Starts a container.
    pub(crate) fn start(
        &mut self,
        user: User,
        arguments: &[&str],
        wait: Wait<'_>,
    ) -> Result<(), DemoError> {
        let process = Process::start(&self.sandbox.netns, user, arguments, wait)?;
        self.containers.push(process);
        Ok(())
    }

    /// The container with that workload.
    pub(crate) fn container(&self, workload: &str) -> Result<&Process, DemoError> {
        self.containers
            .iter()
            .find(|process| process.workload == workload)
            .ok_or_else(|| DemoError::Missing {
                program: workload.to_owned(),
                searched: format!("the containers of {}", self.name),
            })
    }

    /// All processes, the sandbox's last.
    pub(crate) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.containers.iter_mut().chain([&mut self.sandbox.pause])
    }
}
