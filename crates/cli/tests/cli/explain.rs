//! `explain`: where packets of the documented pod end, and packets that are none.

use crate::support::{PRODUCTPAGE, REVIEWS, assert_snapshot, run};

const OUT: &str = "out tcp 10.0.0.7:9080 uid 1000";

#[test]
fn the_application_goes_out_through_its_proxy() {
    assert_snapshot!(
        "explain-out",
        "exit 0; one line a rule, the last says that 10.0.0.7:9080 is reached through Envoy's 15001",
        run(&["explain", "--pod", PRODUCTPAGE, "--packet", OUT])
    );
}

#[test]
fn several_packets_are_followed_one_by_one() {
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
        "exit 0; kubelet's probe goes to 15021 as addressed, the proxy's call of its own pod to 15006",
        run(&arguments)
    );
}

#[test]
fn programs_get_one_document() {
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
    assert_eq!(walks[0]["fate"]["redirected"]["port"], 15001);
    assert_eq!(walks[0]["fate"]["redirected"]["original"], "10.0.0.7:9080");
    assert_eq!(walks[0]["steps"][0]["matched"], true);
}

#[test]
fn a_pod_that_is_left_alone_has_no_rule_to_meet() {
    assert_snapshot!(
        "explain-skipped",
        "exit 0; a note says why the pod gets no rules, and the packet leaves as addressed",
        run(&["explain", "--pod", REVIEWS, "--packet", OUT])
    );
}

#[test]
fn a_text_that_is_no_packet_is_shown_with_a_caret() {
    assert_snapshot!(
        "explain-caret",
        "exit 2; the caret stands under the address that has no port",
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
fn whose_rules_must_be_said_and_once() {
    assert_snapshot!(
        "explain-whose",
        "exit 2; one of --pod, --netns and --pid is needed",
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
