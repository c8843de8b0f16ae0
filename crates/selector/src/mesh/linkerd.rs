//! Names that Linkerd uses in pods.

use super::Marks;

pub(super) const MARKS: Marks = Marks {
    proxy: "linkerd-proxy",
    init: "linkerd-init",
    validation: "linkerd-network-validator",
    validation_failed: 95,
};

/// The domains of the annotations that configure a sidecar.
pub(super) const DOMAINS: &[&str] = &["config.linkerd.io", "linkerd.io"];
