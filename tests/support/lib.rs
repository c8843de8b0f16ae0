//! Test support — namespaces, the binaries under test, and calls as a container runtime makes them.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test ends where it fails")]

mod agent;
mod binaries;
mod changes;
mod containerd;
mod crossroads;
mod enclosure;
mod image;
mod kube;
mod kubectl;
mod node;
mod place;
mod pod;
mod pod_net;
mod process;
mod program;
mod resolver;
mod runtime;
mod scenario;
mod user_ns;

pub use agent::{Agent, AgentDoor, MANIFESTS, ask_agent, pod_for_api};
pub use binaries::{
    bookinfo, cluster_binary, cnitool, envoy, helm, mesh_cni, mesh_cni_agent, mesh_cnictl,
    newer_containerd, reference_plugins, static_programs, udp_echo,
};
pub use changes::wait_for_change;
pub use containerd::{Containerd, SandboxPod, crictl};
pub use crossroads::{Crossroads, Ends, Link, Met, Opening, Whence, any_address, far_address};
pub use enclosure::Enclosure;
pub use image::Image;
pub use kube::KubeApi;
pub use kubectl::{Kubectl, Watch};
pub use node::Node;
pub use place::Place;
pub use pod::{
    PRODUCTPAGE, PRODUCTPAGE_NAME, PRODUCTPAGE_UID, productpage_rules, rules_with_annotation,
    rules_with_annotations, rules_with_proxy_env,
};
pub use pod_net::{Arrival, PodNet, Sender};
pub use process::Process;
pub use program::{Finished, finish, must, run};
pub use resolver::Resolver;
pub use runtime::{Attachment, Call};
pub use scenario::Scenario;
pub use user_ns::UserNs;
