//! Test support: namespaces, programs under test, clusters and container runtimes.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "tests panic on failure")]

mod agent;
mod binaries;
mod containerd;
mod cri;
mod crio;
mod file_changes;
mod host;
mod hostile_pods;
mod image;
mod isolated_host;
mod istio_cni;
mod kube;
mod kubectl;
mod memory_group;
mod node;
mod pod;
mod pod_guest_net;
mod pod_net;
mod process;
mod program;
mod resolver;
mod runtime;
mod runtime_node;
mod scenario;
mod user_ns;
mod validator;
mod ztunnel;

pub use agent::{Agent, AgentClient, MANIFESTS, ask_agent, pod_for_api};
pub use binaries::{
    bookinfo, cluster_binary, cnitool, crio, envoy, helm, istio_cni, mesh_cni, mesh_cni_agent,
    mesh_cnictl, multus, newer_containerd, pinns, promtool, reference_plugins, static_programs,
    udp_echo, ztunnel,
};
pub use containerd::Containerd;
pub use cri::{SandboxPod, crictl};
pub use crio::Crio;
pub use file_changes::wait_for_change;
pub use host::Host;
pub use hostile_pods::hostile_pod;
pub use image::Image;
pub use isolated_host::IsolatedHost;
pub use istio_cni::IstioCni;
pub use kube::KubeApi;
pub use kubectl::{Kubectl, Watch};
pub use memory_group::MemoryGroup;
pub use node::{Node, NodeRuntime};
pub use pod::{
    PRODUCTPAGE, PRODUCTPAGE_NAME, PRODUCTPAGE_UID, productpage_rules, rules_with_annotation,
    rules_with_annotations, rules_with_proxy_env,
};
pub use pod_guest_net::{
    Destinations, Link, Origin, PodGuestNet, Probe, Received, any_address, far_address,
};
pub use pod_net::{Arrival, PodNet, Sender};
pub use process::Process;
pub use program::{Finished, copy_program, finish, must, run, write_script};
pub use resolver::Resolver;
pub use runtime::{Attachment, cnitool_command};
pub use runtime_node::{ContainerRuntime, RuntimeNode};
pub use scenario::Scenario;
pub use user_ns::UserNs;
pub use validator::validate;
pub use ztunnel::{ZtunnelPod, ZtunnelServer, start_ztunnel, ztunnel_listeners};
