//! `verify` in real namespaces: every back end, live counters, what somebody changed, and the ways
//! to say whose rules are meant.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use mesh_cni_netfilter::Listing;
use mesh_cni_netns::NetNs;

use crate::control_group::ControlGroup;
use crate::machine::{alone, mesh_cnictl, output, stderr, stdout};
use crate::node::{Families, Node, POD, UID};
use crate::scratch::Scratch;

const CONTAINER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const OTHER: &str = "0a1b2c3dffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
/// What the pod of these tests gets, as istio-init would be asked for it.
const RULES: [&str; 9] = [
    "-i",
    "*",
    "-b",
    "*",
    "-d",
    "15020,15021,15090",
    "-o",
    "15020",
    "--dual-stack",
];

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn verify(node: &Node, place: &[&str]) -> Ended {
    let directory = node.conf_dir();
    let arguments = [&["verify", "--cni-conf-dir", &directory], place].concat();
    let ended = output(&mut mesh_cnictl(&arguments));
    Ended {
        code: ended.status.code(),
        stdout: stdout(&ended),
        stderr: stderr(&ended),
    }
}

fn of_manifest(node: &Node, scratch: &Scratch) -> Ended {
    let (path, manifest) = (scratch.path(), node.manifest());
    verify(node, &["--netns", &path, "--manifest", &manifest])
}

fn pod() -> Scratch {
    let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
    scratch.done(&RULES);
    scratch
}

#[test]
fn rules_of_every_back_end_are_as_wanted() {
    let _alone = alone();
    let node = Node::new();
    for (flags, backend) in [
        (&[][..], "netlink"),
        (&["--native-nftables"], "nft-native"),
        (&["--force-iptables-binary", "nft"], "netlink"),
        (&["--force-iptables-binary", "legacy"], "iptables-legacy"),
    ] {
        let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
        scratch.done(&[&RULES[..], flags].concat());
        let ended = of_manifest(&node, &scratch);
        assert_eq!(ended.code, Some(0), "{flags:?} {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("rules read by {backend}")));
        let verdict = "as wanted: shop/cart: all 38 rules of IPv4 and IPv6 stand\n";
        assert!(
            ended.stderr.ends_with(verdict),
            "{flags:?} {}",
            ended.stderr
        );
        assert!(ended.stdout.contains("redir ports 15006"), "{flags:?}");
    }
}

#[test]
fn counters_are_live() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    let counted = || {
        let text = of_manifest(&node, &scratch).stdout;
        let ipv4 = text
            .split("\n\nChain PREROUTING")
            .next()
            .unwrap()
            .to_owned();
        let listing = Listing::parse(&(ipv4 + "\n")).unwrap();
        let mut chains = listing.chains.into_iter();
        let output = chains.find(|chain| chain.name == "OUTPUT").unwrap();
        output.rules[0].counters.packets
    };
    assert_eq!(counted(), 0);
    let namespace = NetNs::open(Path::new(&scratch.path())).unwrap();
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let refused = namespace.run(|| TcpStream::connect_timeout(&nobody, Duration::from_secs(60)));
    assert!(refused.unwrap().is_err());
    assert_eq!(counted(), 1);
}

#[test]
fn a_flushed_chain_is_named_and_what_it_does_to_a_packet() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "ISTIO_OUTPUT"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for words in [
        "not as wanted: shop/cart: IPv4, table nat, chain ISTIO_OUTPUT: rule 1 is missing",
        "so: `out tcp 192.0.2.10:80 uid 1000`\n  wanted: ",
        "15001",
        "as addressed",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let (path, manifest) = (scratch.path(), node.manifest());
    let json = [
        "--netns",
        &path,
        "--manifest",
        &manifest,
        "--output",
        "json",
    ];
    let told = verify(&node, &json);
    assert_eq!(told.code, Some(1));
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["verdict"], "not-as-wanted");
    assert_eq!(told["difference"]["family"], "IPv4");
    assert_eq!(told["stray"]["packet"], "out tcp 192.0.2.10:80 uid 1000");
    assert!(
        told["dump"]["IPv6"]["nat"]
            .as_str()
            .unwrap()
            .contains("::/0")
    );
}

/// The same rules once more, as a node's older tools would write them.
fn copy_to_legacy(scratch: &Scratch) {
    let copy = "iptables-nft-save -t nat | iptables-legacy-restore --noflush";
    scratch.inside(&["sh", "-c", copy]);
}

#[test]
fn rules_in_two_back_ends_at_once_are_one_set_too_many() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    copy_to_legacy(&scratch);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = "not as wanted: shop/cart: rules of ours stand in netlink and in iptables-legacy at \
                once, and packets meet them all\n";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

/// The handbook quotes these lines.
#[test]
fn what_it_says() {
    let _alone = alone();
    let node = Node::new();
    let mut told = String::new();
    let mut tell = |title: &str, ended: Ended| {
        let words = ended.stderr.replace(&node.root(), "NODE");
        let code = ended.code.unwrap();
        writeln!(told, "{title}\nexit {code}\n{words}").unwrap();
    };
    let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
    tell("nothing was programmed", of_manifest(&node, &scratch));
    scratch.done(&RULES);
    tell("everything stands", of_manifest(&node, &scratch));
    tell(
        "nobody knows the pod",
        verify(&node, &["--netns", &scratch.path()]),
    );
    let first = "iptables-nft -t nat -I OUTPUT -p tcp --dport 80 -j ACCEPT";
    scratch.inside(&first.split(' ').collect::<Vec<_>>());
    tell("a foreign rule comes first", of_manifest(&node, &scratch));
    scratch.inside(&["iptables-nft", "-t", "nat", "-D", "OUTPUT", "1"]);
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "ISTIO_OUTPUT"]);
    tell("a chain was flushed", of_manifest(&node, &scratch));
    node.exclude("shop");
    tell("the pod should have none", of_manifest(&node, &scratch));
    node.exclude("kube-system");
    let twice = pod();
    copy_to_legacy(&twice);
    tell("rules stand in two back ends", of_manifest(&node, &twice));
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "each situation with its exit code: 1, 0, 3, 0, 1, 1, 1; the verdict, what it means for a packet, and what helps",
    }, { insta::assert_snapshot!("verify-words", told) });
}

#[test]
fn the_second_family_counts_too() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&["ip6tables-nft", "-t", "nat", "-D", "PREROUTING", "1"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let difference = "shop/cart: IPv6, table nat, chain PREROUTING: rule 1 is missing";
    assert!(ended.stderr.contains(difference), "{}", ended.stderr);
}

/// Which of its addresses is the first only the runtime knows.
#[test]
fn a_pod_of_two_families_may_have_the_rules_of_either_order() {
    let _alone = alone();
    let node = Node::new();
    node.write_manifest(Families::First, None);
    for flags in [&RULES[..], &RULES[..8]] {
        let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
        scratch.done(flags);
        let ended = of_manifest(&node, &scratch);
        assert_eq!(ended.code, Some(0), "{flags:?} {}", ended.stderr);
    }
}

#[test]
fn rules_of_others_are_no_difference_but_told_where_they_turn_packets_away() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&[
        "iptables-nft",
        "-t",
        "nat",
        "-A",
        "POSTROUTING",
        "-j",
        "MASQUERADE",
    ]);
    let harmless = of_manifest(&node, &scratch);
    assert_eq!(harmless.code, Some(0), "{}", harmless.stderr);
    assert!(!harmless.stderr.contains("warning"), "{}", harmless.stderr);
    let first = "-t nat -I OUTPUT -p tcp --dport 80 -j ACCEPT";
    let first: Vec<_> = ["iptables-nft"]
        .into_iter()
        .chain(first.split(' '))
        .collect();
    scratch.inside(&first);
    let turned = of_manifest(&node, &scratch);
    assert_eq!(turned.code, Some(0), "{}", turned.stderr);
    let warning = "warning: rules that are not ours turn `out tcp 192.0.2.10:80 uid 1000` away";
    assert!(turned.stderr.contains(warning), "{}", turned.stderr);
}

#[test]
fn a_pod_that_should_have_none_is_told_of_those_it_has() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    node.exclude("shop");
    let some = of_manifest(&node, &scratch);
    assert_eq!(some.code, Some(1), "{}", some.stderr);
    assert!(
        some.stderr.contains("should have no rules"),
        "{}",
        some.stderr
    );
    scratch.done(&["--cleanup-only"]);
    let bare = of_manifest(&node, &scratch);
    assert_eq!(bare.code, Some(0), "{}", bare.stderr);
    assert!(
        bare.stderr.contains("gets no rules, and none stand"),
        "{}",
        bare.stderr
    );
}

#[test]
fn an_excluded_pod_with_its_own_istio_init_is_held_against_its_arguments() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    node.exclude("shop");
    node.write_manifest(Families::Both, Some(&RULES));
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("istio-init"), "{}", ended.stderr);
    let narrower = ["-i", "10.0.0.0/8", "-b", "*"];
    node.write_manifest(Families::Both, Some(&narrower));
    assert_eq!(of_manifest(&node, &scratch).code, Some(1));
}

#[test]
fn a_container_and_a_pod_are_found_by_their_control_group() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    let underscored = UID.replace('-', "_");
    let slice = format!("kubepods-burstable-pod{underscored}.slice");
    let _group = ControlGroup::of(
        scratch.pid(),
        &[&slice, &format!("cri-containerd-{CONTAINER}.scope")],
    );
    let whole = format!("containerd://{CONTAINER}");
    let pid = scratch.pid().to_string();
    for place in [
        ["--container", &whole],
        ["--container", "0a1b2c3d"],
        ["--pod", POD],
        ["--pid", &pid],
        ["--netns", &scratch.path()],
    ] {
        let ended = verify(&node, &place);
        assert_eq!(ended.code, Some(0), "{place:?} {}", ended.stderr);
        assert!(ended.stderr.contains("as wanted: shop/cart"), "{place:?}");
    }
    let second = Scratch::new();
    let _second = ControlGroup::of(second.pid(), &[&format!("docker-{OTHER}.scope")]);
    let several = verify(&node, &["--container", "0a1b2c3d"]);
    assert_eq!(several.code, Some(2), "{}", several.stderr);
    assert!(several.stderr.contains(CONTAINER) && several.stderr.contains(OTHER));
    let docker = verify(&node, &["--container", &format!("docker://{OTHER}")]);
    assert_eq!(docker.code, Some(3), "{}", docker.stderr);
    assert!(
        docker.stderr.contains("nothing to compare with"),
        "{}",
        docker.stderr
    );
    assert!(docker.stdout.starts_with("Chain PREROUTING"));
}

#[test]
fn a_pod_on_the_hosts_network_has_no_rules_of_its_own() {
    let _alone = alone();
    let node = Node::new();
    let mut host = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let ended = {
        let _group = ControlGroup::of(host.id(), &[&format!("pod{UID}"), CONTAINER]);
        let ended = verify(&node, &["--pod", POD]);
        host.kill().unwrap();
        host.wait().unwrap();
        ended
    };
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no network namespace of its own"),
        "{}",
        ended.stderr
    );
}

#[test]
fn another_pods_manifest_is_refused() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    let _group = ControlGroup::of(scratch.pid(), &["pod00000000-0000-0000-0000-000000000001"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(UID), "{}", ended.stderr);
}

#[test]
fn the_agent_is_asked_for_the_pod_of_a_process() {
    let _alone = alone();
    let (node, scratch) = (Node::new(), pod());
    let _group = ControlGroup::of(scratch.pid(), &[&format!("pod{UID}"), CONTAINER]);
    let facts = fs::read_to_string(node.facts()).unwrap();
    let agent = node.agent(&facts);
    let ended = verify(&node, &["--pid", &scratch.pid().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        agent.join().unwrap(),
        format!("GET /v1/pods?uid={UID} HTTP/1.0")
    );
    let silent = verify(&node, &["--pod", POD]);
    assert_eq!(silent.code, Some(3), "{}", silent.stderr);
    assert!(
        silent.stderr.contains("no agent answers at"),
        "{}",
        silent.stderr
    );
}
