//! `verify` without root: what it refuses, and how it says so.

use crate::support::{PRODUCTPAGE, assert_snapshot, run};

fn told(cases: &[&[&str]]) -> String {
    let cases = cases.iter().map(|arguments| {
        let nothing_there = ["verify", "--cni-conf-dir", "tests"];
        let ended = run(&[&nothing_there, *arguments].concat());
        format!("$ mesh-cnictl verify {}\n{ended}\n", arguments.join(" "))
    });
    cases.collect()
}

#[test]
fn wrong_use() {
    assert_snapshot!(
        "verify-wrong-use",
        "exit 2 each, and stdout stays empty; what helps is named",
        told(&[
            &[],
            &["--pid", "1", "--container", "0a"],
            &["--pod", "productpage"],
            &["--container", "docker://productpage"],
            &["--pid", "1", "--manifest", "-", "--conf", "-"],
            &["--pid", "1", "--manifest", "no/such/file"],
            &["--pod", "default/web", "--manifest", PRODUCTPAGE],
            &["--netns", "Cargo.toml", "--manifest", PRODUCTPAGE],
        ])
    );
}

#[test]
fn help() {
    assert_snapshot!(
        "help-verify",
        "exit 0; whose rules, where the wanted ones come from, and the exit codes",
        run(&["verify", "--help"])
    );
}
