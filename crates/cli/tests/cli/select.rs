//! `select`: the decision, its reason, the conditions, the exit code.

use crate::support::{PRODUCTPAGE, REVIEWS, Run, assert_snapshot, run};

#[test]
fn a_pod_with_a_sidecar_is_redirected() {
    assert_snapshot!(
        "select-productpage",
        "exit 0; the decision, then six conditions that all hold, each with its fact",
        run(&["select", "--pod", PRODUCTPAGE])
    );
}

#[test]
fn a_pod_without_a_sidecar_is_skipped() {
    assert_snapshot!(
        "select-reviews",
        "exit 1, and nothing on stderr; three conditions do not hold, and the first is the reason",
        run(&["select", "--pod", REVIEWS])
    );
}

#[test]
fn json_contains_the_reason_and_the_conditions() {
    assert_snapshot!(
        "select-reviews-json",
        "exit 1; the reason with its code, and every condition",
        run(&["select", "--pod", REVIEWS, "--output", "json"])
    );
}

#[test]
fn a_list_contains_the_entry() {
    let list = r#"{"cniVersion": "1.0.0", "name": "n", "plugins": [
        {"type": "bridge"},
        {"type": "mesh-cni", "selection": "istio", "exclude_namespaces": ["def*"], "colour": "red"}
    ]}"#;
    let arguments = ["select", "--pod", PRODUCTPAGE, "--conf", "-"];
    assert_snapshot!(
        "select-conflist",
        "exit 1 for the excluded namespace; the conditions of selection istio; a warning about the \
         unknown field on stderr",
        Run::new(&arguments).with_input(list)
    );
}

#[test]
fn colours_follow_the_environment() {
    let arguments = ["select", "--pod", PRODUCTPAGE];
    let forced = || Run::new(&arguments).env("CLICOLOR_FORCE", "1");
    assert!(forced().with_input("").stdout.contains('\u{1b}'));
    let refused = forced().env("NO_COLOR", "1").with_input("");
    assert!(!refused.stdout.contains('\u{1b}'));
    assert!(!run(&arguments).stdout.contains('\u{1b}'));
}
