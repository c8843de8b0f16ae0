//! `mesh-cnictl verify` of a sandbox, for which CRI-O starts no process.

use mesh_cni_tests::{Finished, SandboxPod, finish, mesh_cnictl};

use crate::node::{Node, with_manifest};

fn verify(node: &Node, place: &[&str]) -> Finished {
    let mut command = node.isolated_host.command(mesh_cnictl());
    let manifest = "/etc/mesh-cni/pods/default_cart.yaml";
    finish(
        command.args(["verify", "--manifest", manifest]).args(place),
        "",
    )
}

#[test]
fn a_sandbox_is_found_with_and_without_a_running_container() {
    let node = Node::start();
    let pod = with_manifest(&node, "cart");
    let sandbox = pod.start(&node.isolated_host).unwrap();
    let prefixed = format!("cri-o://{}", &sandbox[..13]);
    let all_ways = [
        ["--container", &sandbox],
        ["--container", &prefixed],
        ["--pod", "default/cart"],
    ];
    for place in all_ways {
        let verified = verify(&node, &place);
        assert_eq!(verified.code, 0, "{place:?}: {}", verified.stderr);
        assert!(
            verified.stderr.contains("as wanted: default/cart"),
            "{}",
            verified.stderr
        );
    }
    let container = pod.start_container(&node.isolated_host, &sandbox);
    for place in all_ways.into_iter().chain([["--container", &container]]) {
        let verified = verify(&node, &place);
        assert_eq!(verified.code, 0, "{place:?}: {}", verified.stderr);
    }
    SandboxPod::end_container(&node.isolated_host, &container);
    SandboxPod::end(&node.isolated_host, &sandbox);
    let verified = verify(&node, &["--container", &sandbox]);
    assert_eq!(verified.code, 2, "{}", verified.stderr);
    assert!(
        verified.stderr.contains("with --netns"),
        "{}",
        verified.stderr
    );
}
