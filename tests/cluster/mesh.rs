//! mesh-cni on the node.

use mesh_cni_tests::mesh_cni_agent;

use crate::mirror::{Mirror, PODS};
use crate::world::World;

/// The namespace that the plugin leaves alone beside `kube-system`: there, `istio-init` does it.
pub(crate) const EXCLUDED: &str = "by-init";

/// Puts the plugin behind the node's own.
pub(crate) fn enable(world: &mut World) {
    world.mirror = Some(Mirror::start(&world.node, &world.kubectl));
    let agent = mesh_cni_agent();
    world.node.enclosure().must(&format!(
        "{} install --exclude-namespaces kube-system,{EXCLUDED} --pod-source file --pod-dir {PODS}",
        agent.display()
    ));
}
