//! Test support — namespaces, the binaries under test, and calls as a container runtime makes them.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test ends where it fails")]

mod binaries;
mod pod;
mod pod_net;
mod program;
mod resolver;
mod runtime;
mod scenario;

pub use binaries::{cnitool, mesh_cni, reference_plugins, udp_echo};
pub use pod::{
    PRODUCTPAGE, PRODUCTPAGE_NAME, productpage_rules, rules_with_annotation, rules_with_proxy_env,
};
pub use pod_net::{Arrival, PodNet, Sender};
pub use program::{Finished, must, run};
pub use resolver::Resolver;
pub use runtime::{Attachment, Call};
pub use scenario::Scenario;
