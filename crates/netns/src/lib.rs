//! The hands: enter a network namespace, touch the kernel's tables there, read them back.
//!
//! # Threads, and why nothing is ever restored
//!
//! A network namespace is a property of a thread. [`NetNs::run`] makes a thread for the purpose,
//! enters the namespace there, does the work and lets the thread end. No thread ever returns from
//! a foreign namespace, so there is nothing to restore and no early return that could leave the
//! program in the wrong one.
//!
//! # All or nothing
//!
//! [`apply`] looks at what stands, finds the changes, and sends them to `nf_tables` as one batch,
//! both families together, bound to the generation at which it looked. Where another program was
//! faster the kernel refuses the batch, and it looks again. The rules of others are left alone.
//!
//! The back ends that start the host's programs hand each family's rules to `iptables-restore` as
//! one transaction a table. A fresh namespace costs one program start: the first attempt makes its
//! chains in a way that fails where they exist. Only then are the standing rules read, compared and,
//! where they differ, replaced. Where a later family or table is refused, what the earlier ones
//! changed is taken back.
//!
//! # Trying, not guessing
//!
//! [`BackendChoice::Auto`] takes the first back end that really does the work, in the order of
//! [`Backend::ALL`], and never programs one beside rules of ours in another. A [`Survey`] remembers
//! for as long as the machine runs which one that will be.
//!
//! # Other user namespaces
//!
//! Where the network namespace belongs to another user namespace than the caller's, rules that name
//! users are written by a process that entered it. Their numbers are then those that the pod sees:
//! user 1337 of a rule is user 1337 of the pod, whatever the node calls it. Read back they are the
//! same numbers.
//!
//! ```no_run
//! use mesh_cni_netns::{BackendChoice, NetNs, Xtables, apply};
//! use mesh_cni_netfilter::ruleset::Family;
//! use mesh_cni_rules::{Dialect, Interception, compile};
//!
//! let netns = NetNs::open("/run/netns/pod".as_ref())?;
//! let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
//! let rules = compile(&Interception::pod_default(), Dialect::Asm, Family::V4);
//! let applied = apply(&netns, &xtables, BackendChoice::Auto, &[rules])?;
//! println!("{} by {}", applied.change, applied.backend);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The one crate that holds unsafe code, all of it in `user_ns`.
#![deny(unsafe_code)]

mod addresses;
mod apply;
mod backend;
mod enter;
mod handle;
mod name_service;
mod nf_tables;
mod nfnetlink;
mod passthrough_address;
mod policy_route;
mod probe;
pub mod process;
mod program;
mod read;
mod routing_message;
mod rtnetlink;
mod survey;
mod user_ns;
mod words;
mod xtables;

pub use addresses::{addresses, ipv6_addresses};
pub use apply::{Applied, ApplyError, Attempt, Change, apply, remove};
pub use backend::{Backend, BackendChoice, BackendError};
pub use enter::EnterError;
pub use handle::{NetNs, OpenError};
pub use nf_tables::NfTablesError;
pub use probe::{Probe, available, probe};
pub use process::{ContainerProcess, ProcessError, ProcessTable};
pub use program::{ProgramError, RunLimits};
pub use read::{Found, ReadError, holders, holds_legacy_tables, read};
pub use survey::Survey;
pub use xtables::{Xtables, XtablesError};
