//! `explain`: where packets of the documented pod end, and packets that do not parse.

use crate::support::{PRODUCTPAGE, REVIEWS, Run, assert_snapshot, run};

const OUT: &str = "out tcp 10.0.0.7:9080 uid 1000";

#[test]
fn the_application_connects_through_its_proxy() {
    assert_snapshot!(
        "explain-out",
        "exit 0; one line for each rule; the packet goes to Envoy's 15001, original destination 10.0.0.7:9080",
        run(&["explain", "--pod", PRODUCTPAGE, "--packet", OUT])
    );
}

#[test]
fn several_packets_are_traced_one_by_one() {
    let health = "in tcp 10.244.1.17:15021 from 10.244.1.1";
    let own = "out tcp 10.244.1.17:9080 uid 1337";
    let arguments = [
        "explain",
        "--pod",
        PRODUCTPAGE,
        "--packet",
        health,
        "--packet",
        own,
    ];
    assert_snapshot!(
        "explain-several",
        "exit 0; kubelet's probe goes to 15021 and is not redirected, the proxy's request to its own pod to 15006",
        run(&arguments)
    );
}

#[test]
fn json_is_one_document() {
    let arguments = [
        "explain",
        "--pod",
        PRODUCTPAGE,
        "--packet",
        OUT,
        "--output",
        "json",
    ];
    let walks: serde_json::Value = serde_json::from_str(&run(&arguments).result()).unwrap();
    assert_eq!(walks[0]["outcome"]["redirected"]["port"], 15001);
    assert_eq!(
        walks[0]["outcome"]["redirected"]["original"],
        "10.0.0.7:9080"
    );
    assert_eq!(walks[0]["steps"][0]["matched"], true);
}

#[test]
fn a_packet_of_a_skipped_pod_meets_no_rule() {
    assert_snapshot!(
        "explain-skipped",
        "exit 0; a note with the reason why the pod gets no rules, and the packet is not redirected",
        run(&["explain", "--pod", REVIEWS, "--packet", OUT])
    );
}

#[test]
fn a_caret_points_to_the_invalid_part_of_a_packet() {
    assert_snapshot!(
        "explain-caret",
        "exit 2; the caret points to the address, which has no port",
        run(&[
            "explain",
            "--pod",
            PRODUCTPAGE,
            "--packet",
            "out tcp 10.0.0.7 uid 1000"
        ])
    );
}

#[test]
fn exactly_one_source_of_rules_is_required() {
    assert_snapshot!(
        "explain-whose",
        "exit 2; one of --pod, --netns and --pid is required",
        run(&["explain", "--packet", OUT])
    );
    let twice = [
        "explain",
        "--pod",
        PRODUCTPAGE,
        "--pid",
        "1",
        "--packet",
        OUT,
    ];
    assert_eq!(run(&twice).code, Some(2));
}

#[test]
fn only_matching_rules_are_printed_in_100_columns() {
    let own = "out tcp 10.244.1.17:9080 uid 1337 iface lo";
    let arguments = [
        "explain",
        "--matched",
        "--pod",
        PRODUCTPAGE,
        "--packet",
        OUT,
        "--packet",
        own,
    ];
    let ended = run(&arguments);
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert_snapshot!(
        "explain-matched",
        "exit 0; only rules with `yes`; the first packet goes to 15001, the second through lo to 15006",
        ended
    );
    let json = [&arguments[..], &["--output", "json"]].concat();
    let walks: serde_json::Value = serde_json::from_str(&run(&json).result()).unwrap();
    for walk in walks.as_array().unwrap() {
        let mut steps = walk["steps"].as_array().unwrap().iter();
        assert!(steps.all(|step| step["matched"] == true), "{walk:#}");
    }
}

#[test]
fn what_is_assumed_is_said() {
    let packets = [
        "out tcp 10.0.0.7:9080",
        "out udp 10.96.0.10:53 uid 1000 iface lo",
        "in tcp 10.244.1.17:9080 from 10.0.0.9",
    ];
    let pod =
        "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a}, {name: istio-proxy}]}";
    let mut arguments = vec!["explain", "--matched", "--pod", "-"];
    arguments.extend(packets.iter().flat_map(|packet| ["--packet", packet]));
    assert_snapshot!(
        "explain-assumed",
        "exit 0; notes about the missing uid of the first packet and about the destinations of the \
         first two; what leaves through lo does not leave through eth0",
        Run::new(&arguments).with_input(pod)
    );
}
