//! The CNI wire contract, versions 0.1.0 to 1.1.0, for whoever writes a plugin in Rust.
//!
//! A container runtime starts a plugin as a process, says what it wants in the environment, sends
//! the network configuration on stdin, and reads at most one JSON document from stdout. This
//! crate is that conversation and nothing more: it knows no interface, no cluster and no firewall,
//! and it reads and writes nothing but what it is handed.
//!
//! - A plugin implements [`Plugin`]; [`run`] answers one call, with the [`Environment`] and the
//!   three streams passed in, so that a whole call can be tested without a process. Whatever
//!   happens, a panic included, stdout gets one document or none.
//! - A call arrives as a typed request, [`AddRequest`] and its kin: names are checked, missing
//!   variables are reported all at once, [`CniArgs`] reads what runtimes really send, and
//!   [`NetConf`] keeps every key it does not know. [`NetConf::decode`] gives the plugin its own
//!   fields and names the one that is wrong.
//! - A chained plugin hands on the result of the plugins before it with [`pass_through`]: the
//!   JSON as it came in, with only `cniVersion` set. A plugin of another version's shape in the
//!   same chain is no trouble, the result is converted.
//! - [`CniResult`] is a result in the newest shape, read from and written in every version.
//!   [`CniResult::losses`] says what an older version cannot take.
//! - A failure is a [`CniError`]: a code of the specification or of the plugin, one line that
//!   names field and value, and one that says what helps.
//! - An installer edits other people's configuration lists with [`ConfList`], which leaves
//!   everything in them as it was and never has two entries of one plugin.
//!
//! # Example
//!
//! ```
//! use mesh_cni_spec::{
//!     AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, pass_through, run,
//! };
//! use serde_json::Value;
//!
//! struct Greeter;
//!
//! impl Plugin for Greeter {
//!     fn about(&self) -> &str {
//!         "greeter 1.0, says hello to containers"
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
//! let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"greeter","prevResult":{"ips":[]}}"#;
//! let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
//! let exit = run(&Greeter, &environment, &mut stdin.as_slice(), &mut stdout, &mut stderr);
//! assert_eq!(exit, 0);
//! assert_eq!(stdout, b"{\"cniVersion\":\"1.0.0\",\"ips\":[]}\n");
//! ```
//!
//! # Numbers
//!
//! Numbers that pass through keep their digits, however long (`1.50` stays `1.50`); an exponent is
//! written with its sign, `1e+5`. That rests on two features of `serde_json`, `preserve_order` and
//! `arbitrary_precision`, which this crate needs.

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

pub use args::{CniArgs, PodArgs};
pub use attachment::Attachment;
pub use command::{Command, UnknownCommand};
pub use conf_list::{Change, ConfList, ConfListError};
pub use environment::Environment;
pub use error::{CniError, ErrorCode};
pub use name::{ContainerId, IfName, NameError, NetworkName};
pub use net_conf::{NetConf, STDIN_LIMIT};
pub use plugin::Plugin;
pub use prev_result::pass_through;
pub use request::{AddRequest, CheckRequest, DelRequest, GcRequest, StatusRequest, TraceContext};
pub use result::{CniResult, Dns, Interface, IpConfig, Route};
pub use run::run;
pub use version::{ResultShape, SpecVersion, UnknownVersion};
