//! Installs the plugin's binary and its entry in the network configuration list on a node, and
//! removes them again.
//!
//! Planning is separate from file access. [`read_node`] reads the node's files into a
//! [`NodeState`], [`plan_install`] and [`plan_uninstall`] compute the [`Step`]s, and [`apply`]
//! carries them out. Each step is atomic. After every step the container runtime finds a list that
//! it can load, and no list names a missing binary, so an interrupted run can be repeated.
//!
//! [`install`], [`uninstall`] and [`status`] do all three.
//!
//! ```
//! use mesh_cni_installer::{ConfFile, ConfName, Entry, NodeState, NodePaths, Settings, plan_install};
//!
//! let list = ConfFile {
//!     name: ConfName::new("10-calico.conflist")?,
//!     text: br#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#.to_vec(),
//! };
//! let state = NodeState { confs: vec![list], ..NodeState::default() };
//! let settings = Settings::new(NodePaths::default(), Entry::default());
//!
//! let plan = plan_install(&settings, &state)?;
//! let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
//! assert_eq!(steps, [
//!     "wrote /opt/cni/bin/mesh-cni",
//!     "wrote /etc/cni/net.d/10-calico.conflist: mesh-cni is its last plugin",
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod apply;
mod cache;
mod commands;
mod conf_name;
mod entry;
mod error_chain;
mod host_root;
mod install;
mod keep;
mod kubeconfig;
mod nested;
mod node_state;
mod peer;
mod platform;
mod read;
mod refusal;
mod settings;
mod status;
mod step;
mod uninstall;

pub use apply::apply;
pub use cache::{Attachment, read_attachments, read_sandboxes};
pub use commands::{Error, Outcome, Progress, install, read_for_install, status, uninstall};
pub use conf_name::{ConfKind, ConfName, ConfNameError};
pub use entry::{Entry, EntryError};
pub use error_chain::error_chain;
pub use install::{plan_binary_repair, plan_install};
pub use keep::{Backoff, KeepEvent, NextAction, StopSignal, Stopper, keep, stop_channel};
pub use kubeconfig::{Account, ApiServer, Secret};
pub use nested::NestedEntry;
pub use node_state::{
    Binary, BrokenDropIn, ConfFile, DirectoryState, DropIn, Kubeconfig, NodeState, Sandboxes,
    UnreadableConf,
};
pub use peer::{Peer, UnknownPeer};
pub use platform::{PLATFORMS, Platform, UnknownPlatform};
pub use read::{DiskError, read_account, read_node};
pub use refusal::Refusal;
pub use settings::{BinaryRemoval, Chaining, KUBECONFIG, NodePaths, Settings, UninstallOptions};
pub use status::{Installation, NodeStatus, Problem, assess};
pub use step::{Access, Blocked, Edit, Note, Plan, Step};
pub use uninstall::plan_uninstall;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
