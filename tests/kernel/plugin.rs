//! The plugin in a real namespace: the documented rules, a second ADD, CHECK, DEL.

use std::path::Path;
use std::process::Command;

use mesh_cni_netfilter::Listing;
use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables, read};
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{Attachment, Finished, PRODUCTPAGE, PRODUCTPAGE_NAME, must, run};
use serde_json::{Value, json};

const DUMP: &str = include_str!("../../crates/rules/tests/anchor/documented-dump.nat.v4.txt");

fn error(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).expect("an error is one JSON document")
}

#[test]
fn an_add_writes_the_documented_rules_with_both_back_ends() {
    for backend in Backend::ALL {
        let (attachment, netns) = (Attachment::new(backend.as_str()), NetNs::scratch().unwrap());
        let added = attachment.call("ADD", netns.path());
        assert_eq!(added.code, 0, "{}", added.stdout);
        let result: Value = serde_json::from_str(&added.stdout).unwrap();
        assert_eq!(result, attachment.conf["prevResult"]);

        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let found = read(
            &netns,
            &xtables,
            BackendChoice::Only(backend),
            &[Family::V4],
        )
        .unwrap();
        let live = Listing::of(&found.rule_sets[0], TableName::Nat, &OWNERSHIP).without_counters();
        let wanted = Listing::parse(DUMP).unwrap().without_counters();
        let masked = live
            .print(Layout::Folded)
            .replace("127.0.0.6", "127.0.X.X")
            .replace("127.0.0.1", "127.0.X.X");
        assert_eq!(masked, wanted.print(Layout::Folded), "{backend}");
    }
}

#[test]
fn a_second_add_changes_nothing_and_check_agrees() {
    let (attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    for expected in ["created", "unchanged"] {
        let added = attachment.call("ADD", netns.path());
        assert_eq!(added.code, 0, "{}", added.stdout);
        assert!(added.stderr.contains(expected), "{}", added.stderr);
        let checked = attachment.call("CHECK", netns.path());
        assert_eq!((checked.code, checked.stdout.as_str()), (0, ""));
    }
}

#[test]
fn check_names_the_change_and_add_repairs_it() {
    let (attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.call("ADD", netns.path());
    must(&netns, "iptables-nft -t nat -F ISTIO_REDIRECT");
    let checked = attachment.call("CHECK", netns.path());
    assert_eq!(
        (checked.code, error(&checked)["code"].as_i64()),
        (1, Some(102))
    );
    let msg = error(&checked)["msg"].to_string();
    assert!(
        msg.contains("chain ISTIO_REDIRECT: rule 1 is missing"),
        "{msg}"
    );
    assert!(
        attachment
            .call("ADD", netns.path())
            .stderr
            .contains("replaced")
    );
    assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
}

#[test]
fn del_changes_nothing_and_works_without_the_namespace() {
    let (attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.call("ADD", netns.path());
    for _ in 0..2 {
        let deleted = attachment.call("DEL", netns.path());
        assert_eq!((deleted.code, deleted.stdout.as_str()), (0, ""));
    }
    let path = netns.path().to_owned();
    drop(netns);
    assert_eq!(attachment.call("DEL", &path).code, 0);
}

#[test]
fn pods_start_at_the_same_time() {
    let attachment = Attachment::new("auto");
    let namespaces: Vec<_> = (0..50).map(|_| NetNs::scratch().unwrap()).collect();
    for batch in namespaces.chunks(16) {
        std::thread::scope(|scope| {
            for netns in batch {
                scope.spawn(|| {
                    let added = attachment.call("ADD", netns.path());
                    assert_eq!(added.code, 0, "{}", added.stdout);
                });
            }
        });
    }
    for netns in &namespaces {
        assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
    }
    let log = std::fs::read_to_string(attachment.path().join("run/plugin.log")).unwrap();
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("redirected: "))
            .count(),
        50
    );
}

#[test]
fn a_pod_with_an_ipv6_address_first_gets_both_families() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["prevResult"]["ips"] =
        json!([{"address": "fd00:99::2/64"}, {"address": "10.99.0.2/24"}]);
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
    assert!(must(&netns, "ip6tables-nft -t nat -S ISTIO_OUTPUT").contains("-d ::1/128"));

    // Without an IPv6 address the IPv6 rules must not be there: CHECK reports them, ADD removes them.
    attachment.conf["prevResult"]["ips"] = json!([{"address": "10.99.0.2/24"}]);
    let checked = attachment.call("CHECK", netns.path());
    assert_eq!(error(&checked)["code"], 102, "{}", checked.stdout);
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
}

/// Creates an interface with that IPv6 address in the namespace.
fn with_six(netns: &NetNs, address: &str) {
    must(netns, "ip link add eth0 type veth peer name eth0-peer");
    must(
        netns,
        &format!("ip -6 address add {address} dev eth0 nodad"),
    );
}

#[test]
fn a_stand_alone_plugin_reads_the_addresses_itself() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["standalone"] = json!(true);
    attachment.conf["prevResult"] = Value::Null;
    let refused = attachment.call("ADD", netns.path());
    assert_eq!(error(&refused)["code"], 7, "{}", refused.stdout);
    let msg = error(&refused)["msg"].to_string();
    assert!(
        msg.contains("only loopback and link-local addresses"),
        "{msg}"
    );
    assert_eq!(must(&netns, "nft list ruleset"), "");

    with_six(&netns, "fd00:99::5/64");
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
    assert!(must(&netns, "ip6tables-nft -t nat -S ISTIO_OUTPUT").contains("-d ::1/128"));
}

/// Multus attaches the networks of the pod's annotation in order.
#[test]
fn a_network_that_is_attached_after_a_stand_alone_plugin_is_not_drift() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["standalone"] = json!(true);
    attachment.conf["prevResult"] = Value::Null;
    let manifest = attachment
        .path()
        .join(format!("pods/default_{PRODUCTPAGE_NAME}.yaml"));
    let mut pod: Value = serde_saphyr::from_str(PRODUCTPAGE).unwrap();
    for container in pod["spec"]["containers"].as_array_mut().unwrap() {
        container["env"] = json!([{"name": "ISTIO_DUAL_STACK", "value": "true"}]);
    }
    std::fs::write(manifest, pod.to_string()).unwrap();
    must(&netns, "ip link add eth0 type veth peer name eth0-peer");
    must(&netns, "ip address add 10.99.0.5/24 dev eth0");
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    must(&netns, "ip link add net1 type veth peer name net1-peer");
    must(&netns, "ip address add fd00:66::5/64 dev net1 nodad");
    let checked = attachment.call("CHECK", netns.path());
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    // Rules that were written are still compared, also those of IPv6.
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
    must(&netns, "ip6tables-nft -t nat -F ISTIO_OUTPUT");
    assert_eq!(error(&attachment.call("CHECK", netns.path()))["code"], 102);
    must(&netns, "iptables-nft -t nat -F ISTIO_OUTPUT");
    assert_eq!(error(&attachment.call("CHECK", netns.path()))["code"], 102);
}

#[test]
fn a_second_interface_removes_no_rules_of_the_first() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    with_six(&netns, "fd00:99::5/64");
    let first = json!([{"address": "fd00:99::5/64"}]);
    let second = json!([{"address": "192.168.9.2/24"}]);
    let six = || must(&netns, "ip6tables-nft -t nat -S");
    attachment.conf["prevResult"]["ips"] = second.clone();
    assert_eq!(attachment.call("ADD", netns.path()).code, 0);
    assert!(!six().contains("ISTIO"), "an IPv4 pod: {}", six());
    for ips in [first, second] {
        attachment.conf["prevResult"]["ips"] = ips;
        assert_eq!(attachment.call("ADD", netns.path()).code, 0);
        assert!(six().contains("ISTIO_OUTPUT"), "{}", six());
        assert_eq!(attachment.call("CHECK", netns.path()).code, 0);
    }
}

#[test]
fn only_the_addresses_of_a_previous_result_are_validated() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    attachment.conf["prevResult"]["ips"] = json!([{"address": "10.99.0.2/24", "interface": -1}]);
    let added = attachment.call("ADD", netns.path());
    assert_eq!(added.code, 0, "{}", added.stdout);
    let result: Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!(result, attachment.conf["prevResult"]);
}

#[test]
fn a_pod_with_ipv6_disabled_names_the_setting() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    must(&netns, "sysctl -w net.ipv6.conf.lo.disable_ipv6=1");
    attachment.conf["prevResult"]["ips"] = json!([{"address": "fd00:99::2/64"}]);
    let refused = attachment.call("ADD", netns.path());
    let details = error(&refused)["details"].to_string();
    assert!(details.contains("disable_ipv6"), "{details}");
}

#[test]
fn a_skipped_pod_has_no_rules() {
    let (attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    let mut command = Command::new(mesh_cni_tests::mesh_cni());
    let environment = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "0123456789abcdef"),
        ("CNI_IFNAME", "eth0"),
        (
            "CNI_ARGS",
            "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns",
        ),
    ];
    command.envs(environment).env("CNI_NETNS", netns.path());
    let added = run(
        &NetNs::current().unwrap(),
        &mut command,
        &attachment.conf.to_string(),
    );
    assert_eq!(added.code, 0);
    assert_eq!(must(&netns, "nft list ruleset"), "");
    assert!(Path::new(&attachment.path().join("run/plugin.log")).exists());
}

#[test]
fn ipv6_is_refused_with_every_back_end_and_each_change_of_the_field_replaces_the_rules() {
    for backend in Backend::ALL {
        let (mut attachment, netns) =
            (Attachment::new(backend.as_str()), NetNs::scratch().unwrap());
        must(&netns, "ip link set lo up");
        must(&netns, "ip -6 address add fd00:99::2/128 dev lo nodad");
        for ips in [
            json!([{"address": "10.99.0.2/24"}, {"address": "fd00:99::2/64"}]),
            json!([{"address": "10.99.0.2/24"}]),
        ] {
            attachment.conf["prevResult"]["ips"] = ips.clone();
            for mode in ["reject", "as-mesh", "redirect", "reject"] {
                attachment.conf["ipv6"] = json!(mode);
                for _ in 0..2 {
                    let added = attachment.call("ADD", netns.path());
                    assert_eq!(added.code, 0, "{backend}, {mode}: {}", added.stdout);
                }
                let checked = attachment.call("CHECK", netns.path());
                assert_eq!(
                    checked.code, 0,
                    "{backend}, {mode}, {ips}: {}",
                    checked.stdout
                );
            }
            attachment.conf["ipv6"] = json!("as-mesh");
            let checked = attachment.call("CHECK", netns.path());
            let msg = error(&checked)["msg"].to_string();
            assert!(
                msg.contains("MESH_CNI_REJECT_IPV6") && msg.contains("should not be there"),
                "{msg}"
            );
        }
    }
}

#[test]
fn an_ipv6_address_without_rules_causes_a_warning() {
    let (mut attachment, netns) = (Attachment::new("auto"), NetNs::scratch().unwrap());
    let has_warning = |attachment: &Attachment| {
        let added = attachment.call("ADD", netns.path());
        assert_eq!(added.code, 0, "{}", added.stdout);
        added.stderr.contains("[ipv6-without-rules]")
    };
    let only_ipv4 = json!([{"address": "10.99.0.2/24"}]);
    attachment.conf["prevResult"]["ips"] = only_ipv4.clone();
    must(&netns, "ip link set lo up");
    must(&netns, "ip -6 address add fe80::9/64 dev lo nodad");
    assert!(!has_warning(&attachment), "link-local");
    attachment.conf["prevResult"]["ips"] =
        json!([{"address": "10.99.0.2/24"}, {"address": "fd00:99::2/64"}]);
    assert!(has_warning(&attachment), "in the previous result");
    attachment.conf["prevResult"]["ips"] = only_ipv4;
    must(&netns, "ip -6 address add fd00:99::2/128 dev lo nodad");
    assert!(has_warning(&attachment), "only in the namespace");
    attachment.conf["ipv6"] = json!("redirect");
    assert!(
        has_warning(&attachment),
        "only in the namespace, and not redirected"
    );
    attachment.conf["ipv6"] = json!("reject");
    assert!(!has_warning(&attachment), "refused");
}
