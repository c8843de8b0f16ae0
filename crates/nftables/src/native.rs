//! Rule sets as native expressions of `nf_tables`, in tables of our own.
//!
//! Each table of iptables becomes one of ours, such as `ip mesh-cni-nat` or `ip6 mesh-cni-mangle`,
//! with the same chains at the same hooks. There is a table for each family instead of one `inet`
//! table, because the rule sets of the families have different addresses and are replaced
//! separately.
//!
//! # Sets
//!
//! Adjacent rules with the same target that differ in one port or one address range become one rule
//! that looks into a set, so that the cost of a packet does not grow with the list. Each element of
//! the set has a counter, from which the counters of each rule are read back.
//!
//! # Differences from iptables
//!
//! - TPROXY of `x_tables` discards a packet if no process listens on the port. `tproxy` continues
//!   with the next rule, so a rule that discards the packet follows it.
//! - `! --uid-owner` also matches packets without a sending process, such as the kernel's own
//!   replies; `meta skuid !=` does not. This affects our rules that exclude the traffic between the
//!   containers of a pod, and the list of owner groups to redirect: traffic that the kernel itself
//!   sends is treated like an application's.

mod changes;
mod encode;
mod fold;
mod names;
mod read;
mod script;
mod statement;

pub use changes::{create, remove, replace};
pub use names::is_ours;
pub use read::read;
pub use script::script;
