//! The CNI plugin `mesh-cni`, which the container runtime runs for every sandbox of the node.
//!
//! An ADD looks up the pod, decides whether its traffic is redirected, compiles the pod's settings
//! into rules and applies them in its network namespace. A pod that needs redirection never starts
//! without it: every failure is an error with a remedy, and leaves the namespace as it was. A pod in
//! an excluded namespace passes without a lookup.
//!
//! | command | what it does |
//! |---|---|
//! | ADD | applies the rules of pods with a sidecar; returns the previous result unchanged |
//! | CHECK | compares the live rules with the expected ones and reports the first difference |
//! | DEL, GC | nothing: the kernel removes the rules together with the namespace |
//! | STATUS | reports whether an ADD could work now, without asking another machine |
//!
//! After an ADD the plugin sends a report to the node's agent, if one listens, and does not wait for
//! a response.

#![forbid(unsafe_code)]

mod add;
mod addresses;
mod agent_socket;
mod backend;
mod check;
mod enrolment;
mod error;
mod invocation;
mod log;
mod pod_source;
mod report;
mod status;

use mesh_cni_netns::{NetnsEntry, Xtables};
use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, GcRequest, Plugin, StatusRequest,
};
use serde_json::Value;

pub use error::codes;

/// Parsers of this crate for its fuzz targets; not part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    use std::net::IpAddr;

    /// Address, port and prefix of the API server in a kubeconfig.
    pub fn server(kubeconfig: &str) -> Option<(IpAddr, u16, String)> {
        crate::pod_source::current_server(kubeconfig)
    }
}

use log::StderrLog;

/// The plugin, with the iptables programs of the host.
#[derive(Debug)]
pub struct MeshCni {
    xtables: Xtables,
    stderr: StderrLog,
    netns_entry: NetnsEntry,
    uninstalled: bool,
}

impl MeshCni {
    /// A plugin that uses these programs of the host.
    pub fn new(xtables: Xtables) -> Self {
        Self {
            xtables,
            stderr: StderrLog::On,
            netns_entry: NetnsEntry::NewThread,
            uninstalled: false,
        }
    }

    /// For a process that makes one call and exits: the calling thread enters the pod's network
    /// namespace and stays there. That saves starting a thread.
    #[must_use]
    pub fn for_one_call(self) -> Self {
        let netns_entry = NetnsEntry::CallingThread;
        Self {
            netns_entry,
            ..self
        }
    }

    /// Passes every pod through if `uninstalled`: the binary stays only because another plugin's
    /// configuration names it ([`mesh_cni_plan::UNINSTALLED_MARK`]).
    #[must_use]
    pub fn passing_through(self, uninstalled: bool) -> Self {
        Self {
            uninstalled,
            ..self
        }
    }

    /// Logs only to the file, not to stderr.
    #[must_use]
    pub fn quiet(self) -> Self {
        let stderr = StderrLog::Off;
        Self { stderr, ..self }
    }
}

impl Plugin for MeshCni {
    fn about(&self) -> &'static str {
        concat!(
            "mesh-cni ",
            env!("CARGO_PKG_VERSION"),
            ": redirects the traffic of pods that have a sidecar proxy; \
             container runtimes run it from a network configuration list"
        )
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        if self.uninstalled {
            return add::pass_on(&request.conf);
        }
        add::add(self, request)
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        if self.uninstalled {
            return Ok(());
        }
        check::check(self, request)
    }

    /// Does nothing. A DEL that fails would keep the plugins before this one from releasing the pod's
    /// address.
    fn del(&self, _request: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }

    fn gc(&self, _request: &GcRequest) -> Result<(), CniError> {
        Ok(())
    }

    fn status(&self, request: &StatusRequest) -> Result<(), CniError> {
        if self.uninstalled {
            return Ok(());
        }
        status::status(&self.xtables, request)
    }
}
