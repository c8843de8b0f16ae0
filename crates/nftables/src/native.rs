//! Rule sets in `nf_tables`' own words, in tables of our own.
//!
//! Each table of iptables becomes one of ours, `ip mesh-cni-nat` or `ip6 mesh-cni-mangle`, with the
//! same chains at the same hooks. One table for both families (`inet`) would not serve: the two rule
//! sets differ in their addresses, and each is replaced by itself.
//!
//! # Sets
//!
//! Neighbouring rules that do the same and differ in one port or one address range become one rule
//! that looks into a set, so that a packet's cost does not grow with the list. Each element of the
//! set counts: reading back gives every rule of iptables its own counters.
//!
//! # Where the words differ
//!
//! - `x_tables`' TPROXY discards a packet for which nobody listens; `tproxy` goes on to the next
//!   rule. A rule that discards follows it, so that nothing slips past the proxy.
//! - `! --uid-owner` also matches packets that no process sent, such as the kernel's own answers;
//!   `meta skuid !=` does not. Of our rules those are concerned that leave an application's traffic
//!   to itself alone, and the list of owner groups that are redirected: what the kernel itself sends
//!   is then treated as an application's.

mod encode;
mod fold;
mod script;
mod standing;
mod steps;
mod words;

pub use script::script;
pub use standing::{is_ours, read, remove, replace};
pub use steps::create;

pub(crate) use encode::state_bit;
