//! The settings of repair.

/// What to do about pods that run without their rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairSettings {
    /// How to repair such a pod; `None` if it is only labelled.
    pub method: Option<RepairMethod>,
    /// Whether to label a broken pod until it is repaired.
    pub label_pods: bool,
    /// The key and the value of the label.
    pub label: (String, String),
    /// The init container that validates the rules: if it fails, the pod is broken.
    pub init_container: String,
}

/// How to repair a broken pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMethod {
    /// Apply the rules in its namespace while it runs. No container restarts.
    InPlace,
    /// Delete it, so that its controller creates another.
    Delete,
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self {
            method: Some(RepairMethod::InPlace),
            label_pods: false,
            label: ("cni.istio.io/uninitialized".to_owned(), "true".to_owned()),
            init_container: "istio-validation".to_owned(),
        }
    }
}
