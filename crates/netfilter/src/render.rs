//! Rules as text: the input of `iptables-restore`, and JSON.
//!
//! For the output of `iptables -L`, see [`Listing`](crate::Listing).

mod json;
mod restore;
mod rule_spec;

pub use json::json;
pub(crate) use restore::push_line;
pub use restore::restore;
pub use rule_spec::rule_spec;
pub(crate) use rule_spec::{TCP_SYN, joined, quoted};
