//! Terms that a crate must not use, because they belong to another layer.

use crate::tree::{File, rust_files};
use crate::violation::{Violation, assert_no_violations};

/// A folder, the words that its sources must not contain in upper or lower case, and why.
const UNKNOWN: &[(&str, &[&str], &str)] = &[
    (
        "crates/cni-spec/src/",
        &["istio", "sidecar", "iptables", "netfilter"],
        "cni-spec implements the CNI specification and knows no mesh",
    ),
    (
        "crates/selector/src/",
        &["iptables", "netfilter", "nftables"],
        "selector decides about pods and knows no rules",
    ),
];

#[test]
fn crates_do_not_name_other_layers() {
    let sources = rust_files();
    let violations = UNKNOWN.iter().flat_map(|(folder, words, why)| {
        let below = sources
            .iter()
            .filter(move |file| file.path.starts_with(folder));
        below.flat_map(move |file| named(file, words, why))
    });
    assert_no_violations("A crate uses only the terms of its own layer.", violations);
}

fn named(file: &File, words: &[&str], why: &str) -> Vec<Violation> {
    let hits = file.lines().filter_map(|(number, line)| {
        let line = line.to_lowercase();
        let word = words.iter().find(|word| line.contains(*word))?;
        let fix = format!("use this crate's own terms, or move it to another crate: {why}");
        Some(Violation::new(
            format!("{}:{number}", file.path),
            format!("names `{word}`"),
            fix,
        ))
    });
    hits.collect()
}

#[test]
fn a_word_is_found_in_upper_and_lower_case() {
    let file = File {
        path: "a.rs".into(),
        text: "fine\n// ISTIO_OUTPUT\n".into(),
    };
    let violations = named(&file, &["istio"], "why");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].place, "a.rs:2");
}
