//! `verify` in real namespaces: every back end, live counters, changed rules, and each way to name
//! the namespace.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use mesh_cni_netfilter::Listing;
use mesh_cni_netns::NetNs;

use crate::control_group::ControlGroup;
use crate::machine::{exclusive, mesh_cnictl, output, stderr, stdout};
use crate::node::{Families, Node, POD, UID};
use crate::schema;
use crate::scratch::Scratch;

const CONTAINER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const OTHER: &str = "0a1b2c3dffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
/// The flags of `init` for the rules of these tests' pod.
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
    let _lock = exclusive();
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
        let verdict = "as wanted: shop/cart: all 38 rules of IPv4 and IPv6 are installed\n";
        assert!(ended.stderr.contains(verdict), "{flags:?} {}", ended.stderr);
        assert!(ended.stdout.contains("redir ports 15006"), "{flags:?}");
    }
}

#[test]
fn counters_are_live() {
    let _lock = exclusive();
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
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let refused = namespace.run(|| TcpStream::connect_timeout(&closed, Duration::from_secs(60)));
    assert!(refused.unwrap().is_err());
    assert_eq!(counted(), 1);
}

#[test]
fn a_flushed_chain_is_named_with_its_effect_on_a_packet() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "ISTIO_OUTPUT"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for words in [
        "not as wanted: shop/cart: IPv4, table nat, chain ISTIO_OUTPUT: rule 1 is missing",
        "effect: `out tcp 192.0.2.10:80 uid 1000`\n  wanted: ",
        "15001",
        "not redirected",
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
    let ended = verify(&node, &json);
    assert_eq!(ended.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["verdict"], "not-as-wanted");
    assert_eq!(report["differences"][0]["family"], "IPv4");
    assert_eq!(
        report["misrouted"]["packet"],
        "out tcp 192.0.2.10:80 uid 1000"
    );
    assert!(
        report["listings"]["IPv6"]["nat"]
            .as_str()
            .unwrap()
            .contains("::/0")
    );
}

/// Applies the same rules again with iptables-legacy, as older tools do.
fn copy_to_legacy(scratch: &Scratch) {
    let copy = "iptables-nft-save -t nat | iptables-legacy-restore --noflush";
    scratch.inside(&["sh", "-c", copy]);
}

#[test]
fn rules_in_two_back_ends_are_not_as_wanted() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    copy_to_legacy(&scratch);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let verdict = "not as wanted: shop/cart: both netlink and iptables-legacy hold rules of ours, \
                   and packets traverse all of them\n";
    assert!(ended.stderr.contains(verdict), "{}", ended.stderr);
}

/// docs/troubleshooting.md quotes these lines.
#[test]
fn messages() {
    let _lock = exclusive();
    let node = Node::new();
    let mut messages = String::new();
    let mut add = |title: &str, ended: Ended| {
        let stderr = ended.stderr.replace(&node.root(), "NODE");
        let code = ended.code.unwrap();
        writeln!(messages, "{title}\nexit {code}\n{stderr}").unwrap();
    };
    let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
    add("no rules were applied", of_manifest(&node, &scratch));
    scratch.done(&RULES);
    add("all rules are installed", of_manifest(&node, &scratch));
    add(
        "the pod is unknown",
        verify(&node, &["--netns", &scratch.path()]),
    );
    let first = "iptables-nft -t nat -I OUTPUT -p tcp --dport 80 -j ACCEPT";
    scratch.inside(&first.split(' ').collect::<Vec<_>>());
    add(
        "a rule of another program comes first",
        of_manifest(&node, &scratch),
    );
    scratch.inside(&["iptables-nft", "-t", "nat", "-D", "OUTPUT", "1"]);
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "ISTIO_OUTPUT"]);
    add("a chain was flushed", of_manifest(&node, &scratch));
    node.exclude("shop");
    add("the pod should have no rules", of_manifest(&node, &scratch));
    node.exclude("kube-system");
    let twice = pod();
    copy_to_legacy(&twice);
    add("two back ends hold rules", of_manifest(&node, &twice));
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "exit codes 1, 0, 3, 0, 1, 1, 1; the verdict, its effect on a packet, and the remedy",
    }, { insta::assert_snapshot!("verify-messages", messages) });
}

#[test]
fn the_second_family_is_compared_too() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&["ip6tables-nft", "-t", "nat", "-D", "PREROUTING", "1"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let difference = "shop/cart: IPv6, table nat, chain PREROUTING: rule 1 is missing";
    assert!(ended.stderr.contains(difference), "{}", ended.stderr);
}

/// Only the runtime knows which address comes first.
#[test]
fn a_pod_of_two_families_may_have_the_rules_of_either_order() {
    let _lock = exclusive();
    let node = Node::new();
    node.write_manifest(Families::First, None);
    for flags in [&RULES[..], &RULES[..8]] {
        let scratch = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
        scratch.done(flags);
        let ended = of_manifest(&node, &scratch);
        assert_eq!(ended.code, Some(0), "{flags:?} {}", ended.stderr);
    }
}

/// The pod lost its IPv6 address, and with it the reason for IPv6 rules.
#[test]
fn a_left_over_ipv6_rule_set_is_not_as_wanted() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    scratch.inside(&["ip", "address", "del", "fd09::9/128", "dev", "lo"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let difference =
        "not as wanted: shop/cart: IPv6, table nat: chain ISTIO_INBOUND should not be there";
    assert!(ended.stderr.contains(difference), "{}", ended.stderr);
}

#[test]
fn a_pod_that_the_plugin_rejects_is_an_error() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    let manifest = fs::read_to_string(node.manifest()).unwrap();
    let annotation = r#""traffic.sidecar.istio.io/excludeInboundPorts":"22, 99999""#;
    let manifest = manifest.replace(
        r#""annotations":{"#,
        &format!(r#""annotations":{{{annotation},"#),
    );
    fs::write(node.manifest(), manifest).unwrap();
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`99999` at position 5"),
        "{}",
        ended.stderr
    );
}

#[test]
fn rules_of_the_agents_own_pod_are_not_as_wanted() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    let conf = r#"{"type": "mesh-cni", "pod_namespace": "shop", "agent_daemonset": "cart"}"#;
    let path = node.root() + "/agent.json";
    fs::write(&path, conf).unwrap();
    let manifest = fs::read_to_string(node.manifest()).unwrap();
    let own = manifest.replace(r#""name":"cart""#, r#""name":"cart-abcde""#);
    fs::write(node.manifest(), own).unwrap();
    let netns = scratch.path();
    let place = [
        "--netns",
        &netns,
        "--manifest",
        &node.manifest(),
        "--conf",
        &path,
    ];
    let ended = verify(&node, &place);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let verdict = "shop/cart-abcde should have no rules (the pod belongs to the agent";
    assert!(ended.stderr.contains(verdict), "{}", ended.stderr);
}

#[test]
fn rules_of_others_are_a_warning_if_they_affect_packets() {
    let _lock = exclusive();
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
    let affected = of_manifest(&node, &scratch);
    assert_eq!(affected.code, Some(0), "{}", affected.stderr);
    let warning = "warning: rules of another program affect `out tcp 192.0.2.10:80 uid 1000`";
    assert!(affected.stderr.contains(warning), "{}", affected.stderr);
}

#[test]
fn rules_of_a_skipped_pod_are_not_as_wanted() {
    let _lock = exclusive();
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
        bare.stderr.contains("gets no rules, and has none"),
        "{}",
        bare.stderr
    );
}

#[test]
fn an_excluded_pod_with_istio_init_is_compared_with_its_arguments() {
    let _lock = exclusive();
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
    let _lock = exclusive();
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
fn all_pods_of_the_node_are_compared() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    let _group = ControlGroup::of(scratch.pid(), &[&format!("pod{UID}"), CONTAINER]);
    let unknown = Scratch::new();
    let uid = UID.replace('6', "7");
    let _unknown = ControlGroup::of(unknown.pid(), &[&format!("pod{uid}"), OTHER]);
    let all = |flags: &[&str]| verify(&node, &[&["--all"], flags].concat());
    let equal = all(&[]);
    assert_eq!(equal.code, Some(3), "{}", equal.stderr);
    insta::assert_snapshot!(equal.stdout.replace(&node.root(), "NODE"), @r"
    not compared: the pod with UID 7c1a9d52-7a55-4f0e-9b0a-2f1f4d3c8e11: nothing to compare with: no manifest of the pod with UID 7c1a9d52-7a55-4f0e-9b0a-2f1f4d3c8e11 in `NODE/pods`
    as wanted: shop/cart: all 38 rules of IPv4 and IPv6 are installed
    ");
    scratch.inside(&["iptables-nft", "-t", "nat", "-F", "ISTIO_OUTPUT"]);
    let drifted = all(&[]);
    assert!(drifted.stdout.contains("not as wanted: shop/cart: IPv4"));
    assert!(
        drifted
            .stderr
            .contains("2 pods: 0 as wanted, 1 not as wanted, 1 not compared")
    );
    assert!(
        drifted.stderr.contains("effect: `out tcp"),
        "{}",
        drifted.stderr
    );
    assert!(!all(&["--quiet"]).stderr.contains("effect: "));
    let documents: serde_json::Value =
        serde_json::from_str(&all(&["--output", "json"]).stdout).unwrap();
    let verdicts = [&documents[0]["verdict"], &documents[1]["verdict"]];
    assert_eq!(verdicts, ["not-compared", "not-as-wanted"]);
    schema::assert_valid("verify", &documents[1]);
}

#[test]
fn a_pod_in_the_hosts_network_namespace_is_an_error() {
    let _lock = exclusive();
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
fn the_manifest_of_another_pod_is_refused() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    let _group = ControlGroup::of(scratch.pid(), &["pod00000000-0000-0000-0000-000000000001"]);
    let ended = of_manifest(&node, &scratch);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(UID), "{}", ended.stderr);
}

#[test]
fn the_agent_is_asked_for_the_pod_of_a_process() {
    let _lock = exclusive();
    let (node, scratch) = (Node::new(), pod());
    let _group = ControlGroup::of(scratch.pid(), &[&format!("pod{UID}"), CONTAINER]);
    let facts = fs::read_to_string(node.facts()).unwrap();
    let agent = node.agent(&facts);
    let ended = verify(&node, &["--pid", &scratch.pid().to_string()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        agent.join().unwrap(),
        format!("GET /v1/pods?uid={UID} HTTP/1.1")
    );
    let unanswered = verify(&node, &["--pod", POD]);
    assert_eq!(unanswered.code, Some(3), "{}", unanswered.stderr);
    assert!(
        unanswered.stderr.contains("no agent answers at"),
        "{}",
        unanswered.stderr
    );
}
