//! Rules of another mesh in the namespaces of redirected pods: they are never changed, and each such pod gets a
//! warning once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_cni_kube::pod::PodName;
use mesh_cni_plan::Warning;
use mesh_cni_selector::MeshSet;
use tracing::warn;

use crate::kube::store::PodStore;
use crate::metrics::Metrics;
use crate::warnings::Warnings;

/// The pods whose namespaces had rules of other meshes when they were read last.
pub(crate) struct OtherMeshes {
    store: Arc<PodStore>,
    metrics: Arc<Metrics>,
    warnings: Option<Arc<Warnings>>,
    /// By the UID of the pod.
    pods: Mutex<BTreeMap<String, MeshSet>>,
}

impl OtherMeshes {
    /// Without `warnings` no Events are created.
    pub(crate) fn new(
        store: Arc<PodStore>,
        metrics: Arc<Metrics>,
        warnings: Option<Arc<Warnings>>,
    ) -> Self {
        Self {
            store,
            metrics,
            warnings,
            pods: Mutex::default(),
        }
    }

    /// The namespace of the pod has rules of these meshes, which are not the pod's.
    pub(crate) fn found(&self, pod: &PodName, uid: &str, meshes: MeshSet) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if meshes == MeshSet::default() {
            pods.remove(uid)
        } else {
            pods.insert(uid.to_owned(), meshes)
        };
        if pods.len() > self.store.count() {
            pods.retain(|uid, _| self.store.by_uid(uid).is_some());
        }
        drop(pods);
        let before = before.unwrap_or_default();
        for mesh in meshes.iter().filter(|mesh| !before.contains(*mesh)) {
            let warning = Warning::other_mesh(mesh);
            warn!(%pod, "{warning}");
            self.metrics.warned(warning.code.as_str());
            if let Some(warnings) = &self.warnings {
                warnings.add_found(pod, uid, warning);
            }
        }
    }
}
