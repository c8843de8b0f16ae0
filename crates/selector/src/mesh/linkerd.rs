//! Names that Linkerd uses in pods.

use super::Marks;

pub(super) const MARKS: Marks = Marks {
    proxy: "linkerd-proxy",
    init: "linkerd-init",
    validation: "linkerd-network-validator",
    validation_failed: 95,
    domains: &["config.linkerd.io", "linkerd.io"],
};
