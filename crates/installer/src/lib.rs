//! What the node agent does to a node: the plugin's binary and its entry in the network
//! configuration list are put in place, and taken out again.
//!
//! The work is a pure function and a thin hand. [`look`] reads what the node's disk holds
//! ([`Found`]); [`plan_install`] and [`plan_uninstall`] say which [`Step`]s lead from there to what
//! is wanted; [`apply`] carries the steps out, each atomically. Their order is the point: after
//! every single step, a container runtime finds a list that it can load, and no list names a
//! binary that is not there. So a run that is killed is mended by running it again.
//!
//! [`install`], [`uninstall`] and [`status`] put the three together.
//!
//! ```
//! use mesh_cni_installer::{ConfFile, ConfName, Entry, Found, NodePaths, Settings, plan_install};
//!
//! let list = ConfFile {
//!     name: ConfName::new("10-calico.conflist")?,
//!     text: r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#.to_owned(),
//! };
//! let found = Found { confs: vec![list], ..Found::default() };
//! let settings = Settings::new(NodePaths::default(), Entry::default());
//!
//! let plan = plan_install(&settings, &found)?;
//! let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
//! assert_eq!(steps, [
//!     "wrote /opt/cni/bin/mesh-cni",
//!     "wrote /etc/cni/net.d/10-calico.conflist: mesh-cni is its last plugin",
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod apply;
mod conf_name;
mod entry;
mod found;
mod install;
mod istio;
mod keep;
mod kubeconfig;
mod look;
mod one_line;
mod platform;
mod refusal;
mod run;
mod settings;
mod status;
mod step;
mod uninstall;

pub use apply::apply;
pub use conf_name::{ConfKind, ConfName, ConfNameError};
pub use entry::{Entry, EntryError};
pub use found::{Binary, ConfFile, Directory, DropIn, Found, Kubeconfig, Sandboxes};
pub use install::{plan_install, plan_rescue};
pub use keep::{KeepEvent, Move, Patience, Stop, Stopper, keep, stopper};
pub use kubeconfig::{Account, ApiServer, Secret};
pub use look::{DiskError, look, look_at_account, look_at_sandboxes};
pub use one_line::one_line;
pub use platform::{PLATFORMS, Platform};
pub use refusal::Refusal;
pub use run::{Error, Event, Outcome, install, status, survey, uninstall};
pub use settings::{BinaryFate, Chaining, KUBECONFIG, Leaving, NodePaths, Settings};
pub use status::{Ailment, Installation, Status, judge};
pub use step::{Access, Edit, Note, Plan, Step};
pub use uninstall::plan_uninstall;
