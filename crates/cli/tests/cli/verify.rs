//! `verify` without root: wrong use and help.

use std::fmt::Write;

use crate::support::{PRODUCTPAGE, assert_snapshot, run};

fn runs(cases: &[&[&str]]) -> String {
    let mut text = String::new();
    for arguments in cases {
        // A directory without network configurations and without a cache.
        let empty = "tests";
        let verify = ["verify", "--cni-conf-dir", empty, "--cni-cache-dir", empty];
        let ended = run(&[&verify, *arguments].concat());
        writeln!(
            text,
            "$ mesh-cnictl verify {}\n{ended}",
            arguments.join(" ")
        )
        .unwrap();
    }
    text
}

#[test]
fn wrong_use() {
    assert_snapshot!(
        "verify-wrong-use",
        "exit 2 each, nothing on stdout, and a remedy",
        runs(&[
            &[],
            &["--pid", "1", "--container", "0a"],
            &["--pod", "productpage"],
            &["--container", "docker://productpage"],
            &["--container", "0000000000000"],
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
        "exit 0; how to name the namespace, where the facts come from, and the exit codes",
        run(&["verify", "--help"])
    );
}
