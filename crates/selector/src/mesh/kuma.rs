//! Names that Kuma and Kong Mesh use in pods.

use super::Marks;

pub(super) const MARKS: Marks = Marks {
    proxy: "kuma-sidecar",
    init: "kuma-init",
    validation: "kuma-validation",
    validation_failed: 1,
};

/// The domains of the annotations that configure a sidecar.
pub(super) const DOMAINS: &[&str] = &["kuma.io", "traffic.kuma.io"];

/// The annotation that the injector adds to each pod that it changes.
pub(crate) const INJECTED: &str = "kuma.io/sidecar-injected";
