//! The settings of repair.

use mesh_cni_selector::Marks;

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
    /// The init container of Istio that validates the rules: if it fails, the pod is broken. Those of other meshes have
    /// fixed names.
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

/// An init container that fails if the rules are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation<'name> {
    /// Its name.
    pub name: &'name str,
    /// The exit code with which it fails.
    pub exit_code: i32,
}

impl RepairSettings {
    /// The init containers that validate the rules, one of each mesh.
    pub fn validations(&self) -> [Validation<'_>; 3] {
        [Marks::ISTIO, Marks::LINKERD, Marks::KUMA].map(|marks| Validation {
            name: if marks == Marks::ISTIO {
                &self.init_container
            } else {
                marks.validation
            },
            exit_code: marks.validation_failed,
        })
    }
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self {
            method: Some(RepairMethod::InPlace),
            label_pods: false,
            label: ("cni.istio.io/uninitialized".to_owned(), "true".to_owned()),
            init_container: Marks::ISTIO.validation.to_owned(),
        }
    }
}
