//! The chains of ambient mode.

pub use crate::istio::chains::{OUTPUT_RULES, PREROUTING_RULES};
