//! What an operator asks of repair.

/// What is done about pods that run without their rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairSettings {
    /// How such a pod is mended; `None` where it is only labelled.
    pub action: Option<RepairAction>,
    /// Whether a broken pod is labelled, until it is whole.
    pub label_pods: bool,
    /// The label's key and value.
    pub label: (String, String),
    /// The init container that proves the rules: where it fails, the pod is broken.
    pub init_container: String,
}

/// How a broken pod is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairAction {
    /// Its namespace is programmed as it runs; nothing is started again.
    InPlace,
    /// It is deleted, so that its controller makes another.
    Delete,
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self {
            action: Some(RepairAction::InPlace),
            label_pods: false,
            label: ("cni.istio.io/uninitialized".to_owned(), "true".to_owned()),
            init_container: "istio-validation".to_owned(),
        }
    }
}
