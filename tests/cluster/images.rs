//! The images of the cluster's pods, made from this build and Envoy.

use std::fs;
use std::path::Path;

use mesh_cni_tests::{Image, Node, bookinfo, envoy, istio_cni, mesh_cni, mesh_cni_agent};
use mesh_cni_tests::{mesh_cnictl, udp_echo};

/// Services of the bookinfo sample.
pub(crate) const BOOKINFO: &str = "mesh-cni.test/bookinfo:1";
/// The sidecar.
pub(crate) const PROXY: &str = "mesh-cni.test/proxy:1";
/// The image of `istio-init`.
pub(crate) const INIT: &str = "mesh-cni.test/mesh-cnictl:1";
/// The image of the node agent, with the name in the manifests.
pub(crate) const AGENT: &str = "localhost/mesh-cni:0.1.0";

/// The substitute for Istio CNI's node agent.
pub(crate) const ISTIO_CNI: &str = "mesh-cni.test/istio-cni:1";

/// Builds all images and imports them on the node.
pub(crate) fn import(node: &Node) {
    each(|image| import_one(node, image));
}

/// Builds the images with these names and imports them on the node.
pub(crate) fn import_named(node: &Node, names: &[&str]) {
    each(|image| {
        if names.contains(&image.name) {
            import_one(node, image);
        }
    });
}

fn import_one(node: &Node, image: &Image<'_>) {
    let archive = node.directory().join(file_name(image));
    image.write(&archive);
    node.import(image.name, &archive);
    fs::remove_file(&archive).expect("the archive was written");
}

/// Writes the images as archives to the target folder, for nodes of other clusters.
pub(crate) fn write_all() {
    let plugin = mesh_cni();
    let folder = plugin.parent().expect("a program is in a folder");
    let folder = folder.join("cluster-images");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    each(|image| image.write(&folder.join(file_name(image))));
    println!(
        "in {}: import each on every node, as with `kind load image-archive`,\nor `ctr --namespace \
         k8s.io images import`",
        folder.display()
    );
}

fn file_name(image: &Image<'_>) -> String {
    image.name.replace(['/', ':'], "_") + ".tar"
}

fn each(mut make: impl FnMut(&Image<'_>)) {
    let (bookinfo, envoy, echo) = (bookinfo(), envoy(), udp_echo());
    let (agent, plugin, cli) = (mesh_cni_agent(), mesh_cni(), mesh_cnictl());
    let istio = istio_cni();
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
            name: ISTIO_CNI,
            programs: &[(&istio, "/bin/istio-cni")],
            entrypoint: &["/bin/istio-cni"],
        },
        Image {
            name: AGENT,
            programs: &[
                (&agent, "/bin/mesh-cni-agent"),
                (&plugin, "/bin/mesh-cni"),
                (&cli, "/bin/mesh-cnictl"),
            ],
            entrypoint: &["/bin/mesh-cni-agent"],
        },
    ];
    images.iter().for_each(&mut make);
}
