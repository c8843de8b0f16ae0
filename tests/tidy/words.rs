//! Which words a crate may not know: a crate that names a thing knows of it.

use crate::breach::{Breach, assert_lawful};
use crate::tree::{File, rust_files};

/// The sources below a folder, the words that may not occur there in any spelling, and why.
const UNKNOWN: &[(&str, &[&str], &str)] = &[
    (
        "crates/cni-spec/src/",
        &["istio", "sidecar", "iptables", "netfilter"],
        "cni-spec knows the CNI specification and no mesh",
    ),
    (
        "crates/selector/src/",
        &["iptables", "netfilter", "nftables"],
        "selector knows pods and no rules",
    ),
];

#[test]
fn crates_do_not_name_what_they_do_not_know() {
    let sources = rust_files();
    let breaches = UNKNOWN.iter().flat_map(|(folder, words, why)| {
        let below = sources
            .iter()
            .filter(move |file| file.path.starts_with(folder));
        below.flat_map(move |file| named(file, words, why))
    });
    assert_lawful("A crate knows its own subject only.", breaches);
}

fn named(file: &File, words: &[&str], why: &str) -> Vec<Breach> {
    let hits = file.lines().filter_map(|(number, line)| {
        let line = line.to_lowercase();
        let word = words.iter().find(|word| line.contains(*word))?;
        let mend = format!("say it in this crate's own terms, or elsewhere: {why}");
        Some(Breach::new(
            format!("{}:{number}", file.path),
            format!("names `{word}`"),
            mend,
        ))
    });
    hits.collect()
}

#[test]
fn a_word_is_seen_in_any_spelling() {
    let file = File {
        path: "a.rs".into(),
        text: "fine\n// ISTIO_OUTPUT\n".into(),
    };
    let breaches = named(&file, &["istio"], "why");
    assert_eq!(breaches.len(), 1);
    assert_eq!(breaches[0].place, "a.rs:2");
}
