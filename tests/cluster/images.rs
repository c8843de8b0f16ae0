//! The images of the cluster's pods, made of this build and of Envoy.

use std::path::Path;

use mesh_cni_tests::{Containerd, Image, Node, bookinfo, envoy, mesh_cni, mesh_cni_agent};
use mesh_cni_tests::{mesh_cnictl, udp_echo};

/// Services of the bookinfo sample.
pub(crate) const BOOKINFO: &str = "mesh-cni.test/bookinfo:1";
/// The sidecar.
pub(crate) const PROXY: &str = "mesh-cni.test/proxy:1";
/// What `istio-init` runs.
pub(crate) const INIT: &str = "mesh-cni.test/mesh-cnictl:1";
/// The node agent, with the plugin that it installs, as the manifests name it.
pub(crate) const AGENT: &str = "localhost/mesh-cni:0.1.0";

/// Makes them and gives them to the node.
pub(crate) fn import(node: &Node) {
    let (bookinfo, envoy, echo) = (bookinfo(), envoy(), udp_echo());
    let (agent, plugin, cli) = (mesh_cni_agent(), mesh_cni(), mesh_cnictl());
    let images = [
        Image {
            name: BOOKINFO,
            programs: &[
                (&bookinfo, "/bin/bookinfo"),
                (Path::new("/usr/bin/sleep"), "/bin/sleep"),
                (Path::new("/usr/bin/true"), "/bin/true"),
            ],
            entrypoint: &["/bin/bookinfo"],
        },
        Image {
            name: PROXY,
            programs: &[(&envoy, "/bin/envoy"), (&echo, "/bin/udp-echo")],
            entrypoint: &["/bin/envoy"],
        },
        Image {
            name: INIT,
            programs: &[(&cli, "/bin/mesh-cnictl")],
            entrypoint: &["/bin/mesh-cnictl", "init"],
        },
        Image {
            name: AGENT,
            programs: &[(&agent, "/bin/mesh-cni-agent"), (&plugin, "/bin/mesh-cni")],
            entrypoint: &["/bin/mesh-cni-agent"],
        },
    ];
    for image in images {
        let file = image.name.replace(['/', ':'], "_");
        let archive = node.directory().join(file).with_extension("tar");
        image.write(&archive);
        Containerd::import(node.enclosure(), &archive);
        std::fs::remove_file(&archive).expect("the archive was written");
    }
}
