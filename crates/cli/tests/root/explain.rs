//! `explain` on live rules, with the addresses of the namespace.

use crate::machine::{exclusive, mesh_cnictl, output, stdout};
use crate::scratch::Scratch;

fn explain(scratch: &Scratch, packet: &str) -> String {
    let path = scratch.path();
    let arguments = ["explain", "--netns", &path, "--packet", packet];
    stdout(&output(&mut mesh_cnictl(&arguments)))
}

#[test]
fn the_walk_uses_live_rules_and_addresses() {
    let _lock = exclusive();
    let scratch = Scratch::with_addresses(&[]);
    scratch.inside(&[
        "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1",
    ]);
    scratch.inside(&["ip", "address", "add", "10.9.9.9/24", "dev", "eth0"]);
    scratch.inside(&["ip", "link", "set", "eth0", "up"]);
    scratch.done(&["-i", "*", "-b", "*"]);
    let own = explain(&scratch, "out tcp 10.9.9.9:9080 uid 1337");
    assert!(
        own.ends_with("15006, original destination 10.9.9.9:9080\n"),
        "{own}"
    );
    let away = explain(&scratch, "out tcp 10.1.1.1:9080 uid 1000");
    assert!(
        away.ends_with("15001, original destination 10.1.1.1:9080\n"),
        "{away}"
    );

    // The walk sees a change by another program.
    scratch.inside(&[
        "iptables-nft",
        "-t",
        "nat",
        "-I",
        "ISTIO_OUTPUT",
        "-j",
        "RETURN",
    ]);
    let away = explain(&scratch, "out tcp 10.1.1.1:9080 uid 1000");
    assert!(
        away.ends_with("to 10.1.1.1:9080, not redirected\n"),
        "{away}"
    );
}
