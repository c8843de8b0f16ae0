//! `select`: the decision, its reason, the table, the exit code.

use crate::support::{PRODUCTPAGE, REVIEWS, Run, assert_snapshot, run};

#[test]
fn a_pod_with_a_sidecar_is_redirected() {
    assert_snapshot!(
        "select-productpage",
        "exit 0; the decision first, then all six conditions hold, each with its fact",
        run(&["select", "--pod", PRODUCTPAGE])
    );
}

#[test]
fn a_pod_without_one_is_not() {
    assert_snapshot!(
        "select-reviews",
        "exit 1, and nothing on stderr: no is an answer; three conditions do not hold, the first \
         of them is the reason",
        run(&["select", "--pod", REVIEWS])
    );
}

#[test]
fn programs_get_json() {
    assert_snapshot!(
        "select-reviews-json",
        "exit 1; the code and the phrase of the reason, and every condition",
        run(&["select", "--pod", REVIEWS, "--output", "json"])
    );
}

#[test]
fn the_entry_is_found_in_a_list() {
    let list = r#"{"cniVersion": "1.0.0", "name": "n", "plugins": [
        {"type": "bridge"},
        {"type": "mesh-cni", "selection": "istio", "exclude_namespaces": ["def*"], "colour": "red"}
    ]}"#;
    let arguments = ["select", "--pod", PRODUCTPAGE, "--conf", "-"];
    assert_snapshot!(
        "select-conflist",
        "exit 1 for the excluded namespace; the conditions are those of selection istio; the \
         unknown field is told on stderr",
        Run::new(&arguments).with_input(list)
    );
}

#[test]
fn colours_are_for_those_who_want_them() {
    let arguments = ["select", "--pod", PRODUCTPAGE];
    let forced = || Run::new(&arguments).env("CLICOLOR_FORCE", "1");
    assert!(forced().with_input("").stdout.contains('\u{1b}'));
    let refused = forced().env("NO_COLOR", "1").with_input("");
    assert!(!refused.stdout.contains('\u{1b}'));
    assert!(!run(&arguments).stdout.contains('\u{1b}'));
}
