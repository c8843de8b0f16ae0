//! Enters network namespaces, and applies, reads and removes netfilter rules there. The README has an
//! example.
//!
//! # Threads
//!
//! A network namespace is a property of a thread. [`NetNs::run`] starts a thread, enters the
//! namespace there, runs the work and lets the thread end. No thread returns from a foreign
//! namespace, so no early return can leave the program in the wrong one.
//!
//! # All or nothing
//!
//! [`apply`] reads the existing rules, computes the changes, and sends them to `nf_tables` as one
//! batch for both families, bound to the generation of the rules that it read. If another program
//! was faster, the kernel refuses the batch, and `apply` retries. It never changes the rules of
//! others.
//!
//! The back ends that run the host's programs pass each family's rules to `iptables-restore`, one
//! transaction for each table. In a new namespace they run one program: the first attempt creates
//! its chains in a way that fails if they exist. Only then are the existing rules read, compared
//! and, if they differ, replaced. If a later family or table is refused, the earlier changes are
//! rolled back.
//!
//! # Choosing a back end
//!
//! [`BackendChoice::Auto`] takes the first back end that works, in the order of [`Backend::ALL`],
//! and never adds rules beside rules of ours in another. A [`BackendProbeCache`] remembers until the
//! next boot which one that is.
//!
//! # Other user namespaces
//!
//! If the network namespace belongs to another user namespace than the caller's, a process inside it
//! writes the rules that match users. The numbers are those of the pod: user 1337 of a rule is user
//! 1337 of the pod, whatever its number on the node. Reading returns the same numbers.
//!
//! # Processes of pods
//!
//! [`process`] finds the network namespace of a pod or container through its processes.

// The only crate with unsafe code, all of it in `user_ns`.
#![deny(unsafe_code)]

pub mod process;
pub mod program;

mod addresses;
mod apply;
mod backend;
mod backend_error;
mod change;
mod enter;
mod listening;
mod modules;
mod netns;
mod nf_tables;
mod nfnetlink;
mod nsswitch;
mod passthrough_address;
mod policy_route;
mod probe;
mod probe_cache;
mod read;
mod routing_message;
mod rtnetlink;
mod source_address;
mod user_ns;
mod xtables;

pub use addresses::{addresses, has_ipv6, interface_addresses, ipv6_addresses};
pub use apply::{ApplyError, Attempt, apply, remove};
pub use backend::{Backend, BackendChoice};
pub use backend_error::BackendError;
pub use change::{Applied, Change};
pub use enter::{EnterError, NetnsEntry};
pub use listening::listening_ports;
pub use mesh_cni_nftables::source::{OwnedAddress, SourceTable};
pub use netns::{NetNs, OpenError};
pub use nf_tables::NfTablesError;
pub use probe::available;
pub use probe_cache::BackendProbeCache;
pub use process::{ContainerProcess, NetnsOwner, ProcessError, ProcessTable};
pub use program::{ProgramError, RunLimits};
pub use read::{FoundRules, ReadError, holders, holds_legacy_tables, read};
pub use source_address::{
    add_source_addresses, ensure_source_table, remove_source_addresses, remove_source_table,
    source_addresses,
};
pub use xtables::{Xtables, XtablesError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
