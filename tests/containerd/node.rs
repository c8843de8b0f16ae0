//! A node with containerd.

use mesh_cni_tests::{
    Containerd, PRODUCTPAGE, PRODUCTPAGE_NAME, PRODUCTPAGE_UID, RuntimeNode, SandboxPod,
};

pub(crate) type Node = RuntimeNode<Containerd>;

/// The documented pod's manifest with another name and UID.
pub(crate) fn manifest(pod: &SandboxPod) -> String {
    PRODUCTPAGE
        .replace(PRODUCTPAGE_NAME, &pod.name)
        .replace(PRODUCTPAGE_UID, &pod.uid)
}
