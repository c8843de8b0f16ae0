//! The CNI plugin: called by the container runtime for every sandbox of the node.
//!
//! An ADD looks up the pod, lets the selector decide, compiles the pod's settings into rules and
//! makes them stand in its network namespace. A pod that needs redirection never starts without
//! it: whatever goes wrong is an error with a remedy, and nothing is left half done. A pod that
//! does not need it costs no look-up where its namespace is excluded, and passes through.
//!
//! | command | what it does |
//! |---|---|
//! | ADD | rules for pods with a sidecar; the previous result goes out as it came in |
//! | CHECK | compares the live rules with the wanted ones and names the first difference |
//! | DEL, GC | nothing: the rules die with their namespace, and nobody is asked |
//! | STATUS | whether an ADD could work now, from this machine alone |
//!
//! How an ADD ended is reported to the node's agent, where one listens; the pod never waits for it.

#![forbid(unsafe_code)]

mod add;
mod addresses;
mod agent_socket;
mod call;
mod check;
mod choice;
mod error;
mod http;
mod journal;
mod pod_source;
mod report;
mod status;

use mesh_cni_netns::{NetnsEntry, Xtables};
use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, GcRequest, Plugin, StatusRequest,
};
use serde_json::Value;

pub use error::codes;

use journal::Echo;

/// The plugin, with the programs of the host that it may use.
#[derive(Debug)]
pub struct MeshCni {
    xtables: Xtables,
    echo: Echo,
    netns_entry: NetnsEntry,
}

impl MeshCni {
    /// A plugin that finds the host's programs there.
    pub fn new(xtables: Xtables) -> Self {
        Self {
            xtables,
            echo: Echo::Stderr,
            netns_entry: NetnsEntry::NewThread,
        }
    }

    /// The same, for a process that answers one call and ends: the calling thread goes into the pod's
    /// network namespace itself and never comes back, which saves making another.
    #[must_use]
    pub fn for_one_call(self) -> Self {
        let netns_entry = NetnsEntry::CallingThread;
        Self {
            netns_entry,
            ..self
        }
    }

    /// The same, with a log in its file alone and nothing on stderr.
    #[must_use]
    pub fn quiet(self) -> Self {
        let echo = Echo::Nowhere;
        Self { echo, ..self }
    }
}

impl Plugin for MeshCni {
    fn about(&self) -> &'static str {
        concat!(
            "mesh-cni ",
            env!("CARGO_PKG_VERSION"),
            ": redirects the traffic of pods that carry a sidecar proxy; \
             container runtimes call it from a network configuration list"
        )
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        add::add(self, request)
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        check::check(&self.xtables, self.echo, request)
    }

    /// Nothing outlives the namespace, so there is nothing to remove. A DEL that fails would keep
    /// the plugins before this one from freeing the pod's address.
    fn del(&self, _request: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }

    fn gc(&self, _request: &GcRequest) -> Result<(), CniError> {
        Ok(())
    }

    fn status(&self, request: &StatusRequest) -> Result<(), CniError> {
        status::status(&self.xtables, request)
    }
}
