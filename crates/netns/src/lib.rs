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
//! [`apply`] hands each family's rules to `iptables-restore` as one transaction a table. A fresh
//! namespace costs one program start: the first attempt makes its chains in a way that fails
//! where they exist. Only then are the standing rules read, compared and, where they differ,
//! replaced; the rules of others are left alone. Where a later family or table is refused, what
//! the earlier ones changed is taken back.
//!
//! # Trying, not guessing
//!
//! [`BackendChoice::Auto`] takes the first back end that really does the work, `iptables-nft`
//! before `iptables-legacy`, and never programs one beside rules of ours in the other.
//!
//! ```no_run
//! use mesh_cni_netns::{BackendChoice, NetNs, Xtables, apply};
//! use mesh_cni_rules::{Dialect, Interception, compile, ruleset::Family};
//!
//! let netns = NetNs::open("/run/netns/pod".as_ref())?;
//! let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
//! let rules = compile(&Interception::pod_default(), Dialect::Asm, Family::V4);
//! let applied = apply(&netns, &xtables, BackendChoice::Auto, &[rules])?;
//! println!("{} by {}", applied.change, applied.backend);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The one crate that may hold unsafe code; so far it needs none.
#![forbid(unsafe_code)]

mod apply;
mod backend;
mod enter;
mod handle;
mod name_service;
mod policy_route;
mod program;
mod read;
mod rtnetlink;
mod xtables;

pub use apply::{Applied, ApplyError, Attempt, Change, apply, remove};
pub use backend::{Backend, BackendChoice};
pub use enter::EnterError;
pub use handle::{NetNs, OpenError};
pub use program::{ProgramError, RunLimits};
pub use read::{Found, ReadError, read};
pub use xtables::{Xtables, XtablesError};
