//! `render`: the documented pod gets the documented dump, in every format.

use std::fs;

use crate::support::{PRODUCTPAGE, REVIEWS, Run, assert_snapshot, run};

const DUMP: &str = "demo/documented-dump.txt";

/// Folds white space and sets counters to 0.
fn folded(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_rule = words
            .first()
            .is_some_and(|word| word.parse::<u32>().is_ok());
        let mut words: Vec<_> = words.into_iter().map(str::to_owned).collect();
        if is_rule {
            for counter in &mut words[1..3] {
                "0".clone_into(counter);
            }
        }
        words.join(" ")
    });
    lines.collect()
}

#[test]
fn the_list_is_the_documented_dump() {
    let dump = fs::read_to_string(DUMP).unwrap();
    let unmasked: Vec<_> = dump
        .lines()
        .map(|line| {
            let passthrough = line.contains("* lo 127.0.X.X 0.0.0.0/0");
            let address = if passthrough {
                "127.0.0.6"
            } else {
                "127.0.0.1"
            };
            line.replace("127.0.X.X", address)
        })
        .collect();
    let list = run(&["render", "--pod", PRODUCTPAGE, "--format", "list"]).result();
    assert_eq!(folded(&list), folded(&unmasked.join("\n")));
}

#[test]
fn list_is_the_default_format() {
    let list = run(&["render", "--pod", PRODUCTPAGE, "--format", "list"]).result();
    assert_eq!(run(&["render", "--pod", PRODUCTPAGE]).result(), list);
}

#[test]
fn rules_in_the_language_of_nft() {
    assert_snapshot!(
        "render-nft",
        "exit 0; one IPv4 table as `nft list ruleset` prints it, excluded inbound ports in one set",
        run(&["render", "--pod", PRODUCTPAGE, "--format", "nft"])
    );
}

#[test]
fn rules_as_input_of_iptables_restore() {
    assert_snapshot!(
        "render-restore",
        "exit 0; one IPv4 transaction, nothing else on stdout and nothing on stderr",
        run(&["render", "--pod", PRODUCTPAGE, "--format", "restore"])
    );
}

#[test]
fn a_pod_with_ipv6_gets_both_families() {
    let pod = fs::read_to_string(PRODUCTPAGE).unwrap();
    let pod = pod.replace("10.244.1.17", "fd00::17");
    let arguments = ["render", "--pod", "-", "--format", "restore"];
    let both = Run::new(&arguments).with_input(&pod).result();
    let four = run(&["render", "--pod", PRODUCTPAGE, "--format", "restore"]).result();
    let six = [
        "render",
        "--pod",
        PRODUCTPAGE,
        "--format",
        "restore",
        "--family",
        "6",
    ];
    let six = run(&six).result();
    assert!(six.contains("::6/128"), "{six}");
    assert_eq!(both, four + &six);
}

#[test]
fn typed_rules_as_json() {
    let text = run(&["render", "--pod", PRODUCTPAGE, "--format", "json"]).result();
    let rules: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(rules.is_array() || rules.is_object());
    assert!(text.contains("ISTIO_IN_REDIRECT"));
}

#[test]
fn another_table_can_be_listed() {
    let list = run(&["render", "--pod", PRODUCTPAGE, "--table", "mangle"]).result();
    assert!(
        list.contains("Chain FORWARD") && !list.contains("ISTIO"),
        "{list}"
    );
}

#[test]
fn a_skipped_pod_has_no_rules() {
    assert_snapshot!(
        "render-reviews",
        "exit 1, nothing on stdout, the reason on stderr",
        run(&["render", "--pod", REVIEWS])
    );
}
