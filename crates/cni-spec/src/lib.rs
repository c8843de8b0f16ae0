//! The CNI contract between container runtimes and plugins, versions 0.1.0 to 1.1.0.
//!
//! A container runtime starts a plugin as a process, passes the request in environment variables
//! and the network configuration on stdin, and reads at most one JSON document from stdout. This
//! crate implements the plugin's side of it, and nothing about interfaces, clusters or firewalls. It
//! reads and writes only the streams that it receives.
//!
//! - Implement [`Plugin`], and call [`run`] with the [`Environment`] and three streams. A test can
//!   run a whole call without a process. Even if the plugin panics, stdout receives at most one
//!   document.
//! - A call becomes a typed request such as [`AddRequest`]: names are validated, one error names all
//!   missing variables, and [`CniArgs`] accepts the arguments of all runtimes.
//! - [`NetConf`] keeps unknown keys. [`NetConf::decode`] decodes the plugin's own fields and names
//!   the invalid one.
//! - A chained plugin returns the result of earlier plugins with [`pass_through`]: the JSON as
//!   received, except `cniVersion`. It converts results of versions with another shape.
//! - [`CniResult`] is a result in the newest shape. It can be read from and written in every version,
//!   and [`CniResult::losses`] lists what an older version cannot represent.
//! - [`CniError`] has a code of the specification or the plugin, a message with field and value, and
//!   a remedy.
//! - [`ConfList`] loads a configuration list as libcni does, adds a plugin or removes it, and keeps the
//!   bytes of the rest.
//!
//! # Example
//!
//! ```
//! use mesh_cni_spec::{
//!     AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, pass_through, run,
//! };
//! use serde_json::Value;
//!
//! struct Example;
//!
//! impl Plugin for Example {
//!     fn about(&self) -> &str {
//!         "example 1.0"
//!     }
//!
//!     fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
//!         let prev = request.conf.required_prev_result()?;
//!         pass_through(prev, request.conf.cni_version)
//!     }
//!
//!     fn check(&self, _: &CheckRequest) -> Result<(), CniError> {
//!         Ok(())
//!     }
//!
//!     fn del(&self, _: &DelRequest) -> Result<(), CniError> {
//!         Ok(())
//!     }
//! }
//!
//! let environment = Environment::from_pairs([
//!     ("CNI_COMMAND", "ADD"),
//!     ("CNI_CONTAINERID", "c1"),
//!     ("CNI_NETNS", "/run/netns/c1"),
//!     ("CNI_IFNAME", "eth0"),
//! ]);
//! let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"example","prevResult":{"ips":[]}}"#;
//! let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
//! let exit = run(&Example, &environment, &mut stdin.as_slice(), &mut stdout, &mut stderr);
//! assert_eq!(exit, 0);
//! assert_eq!(stdout, b"{\"cniVersion\":\"1.0.0\",\"ips\":[]}\n");
//! ```
//!
//! # Numbers
//!
//! Passed-through numbers keep their digits, however long (`1.50` remains `1.50`); an exponent gets a
//! sign, `1e+5`. This requires the features `preserve_order` and `arbitrary_precision` of
//! `serde_json`, which this crate enables.

#![forbid(unsafe_code)]

mod args;
mod attachment;
mod command;
mod conf_list;
mod environment;
mod error;
mod json;
mod name;
mod net_conf;
mod plugin;
mod prev_result;
mod request;
mod result;
mod run;
mod version;

pub use args::{CniArgs, PodArgs, PodArgsError};
pub use attachment::Attachment;
pub use command::{Command, UnknownCommand};
pub use conf_list::{Change, ConfList, ConfListError, check_entry, parse_json, plugin_type};
pub use environment::Environment;
pub use error::{CniError, ErrorCode};
pub use name::{ContainerId, IfName, NameError, NetworkName};
pub use net_conf::{NetConf, STDIN_LIMIT};
pub use plugin::Plugin;
pub use prev_result::pass_through;
pub use request::{AddRequest, CheckRequest, DelRequest, GcRequest, StatusRequest, TraceContext};
pub use result::{CniResult, Dns, Interface, IpConfig, Route};
pub use run::{panicked, run};
pub use version::{ResultShape, SpecVersion, UnknownVersion};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
