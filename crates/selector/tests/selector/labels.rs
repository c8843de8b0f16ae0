//! Label selectors: parsing, matching, printing and errors.

use std::collections::BTreeMap;
use std::fmt::Write;

use mesh_cni_selector::LabelSelector;
use proptest::prelude::*;
use serde_json::{Value, json};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[track_caller]
fn check(selector: &str, matching: &[&[(&str, &str)]], others: &[&[(&str, &str)]]) {
    let selector: LabelSelector = selector.parse().unwrap();
    for pairs in matching {
        assert!(
            selector.matches(&labels(pairs)),
            "{selector} should match {pairs:?}"
        );
    }
    for pairs in others {
        assert!(
            !selector.matches(&labels(pairs)),
            "{selector} should not match {pairs:?}"
        );
    }
}

#[test]
fn each_operator() {
    check("a=b", &[&[("a", "b")]], &[&[], &[("a", "c")]]);
    check("a == b", &[&[("a", "b")]], &[&[("a", "")]]);
    check("a=", &[&[("a", "")]], &[&[], &[("a", "b")]]);
    check("a!=b", &[&[], &[("a", "c")]], &[&[("a", "b")]]);
    check(
        "a in (b, c)",
        &[&[("a", "b")], &[("a", "c")]],
        &[&[], &[("a", "d")]],
    );
    check("a notin (b,c)", &[&[], &[("a", "d")]], &[&[("a", "b")]]);
    check("a", &[&[("a", "")], &[("a", "b")]], &[&[], &[("b", "a")]]);
    check("!a", &[&[], &[("b", "a")]], &[&[("a", "")]]);
    check("a=b,!c", &[&[("a", "b")]], &[&[("a", "b"), ("c", "")], &[]]);
    check("x.y/in in (in)", &[&[("x.y/in", "in")]], &[&[]]);
}

#[test]
fn printed_as_kubernetes_prints_them() {
    for (text, printed) in [
        (" a = b , c != d ", "a=b,c!=d"),
        ("e in ( y,x , x )", "e in (x,y)"),
        ("f notin (z)", "f!=z"),
        ("a in ()", "a="),
        ("a in (,b)", "a in (,b)"),
        ("g, ! h", "g,!h"),
    ] {
        let selector: LabelSelector = text.parse().unwrap();
        assert_eq!(selector.to_string(), printed);
        assert_eq!(printed.parse::<LabelSelector>().unwrap(), selector);
        assert_eq!(
            serde_json::to_value(&selector).unwrap(),
            Value::from(printed)
        );
    }
}

#[test]
fn only_text_is_read_from_json() {
    let object = json!({"matchLabels": {"a": "b"}});
    let error = serde_json::from_value::<LabelSelector>(object).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: map, expected a string");
}

#[test]
fn errors() {
    let long = "a".repeat(64);
    let texts = [
        "",
        "  ",
        ",",
        "a,",
        "a,,b",
        "=b",
        "a=b c",
        "a!b",
        "a in",
        "a in b",
        "a in (b",
        "a in (b c)",
        "a within (b)",
        "a > 1",
        "a=b=c",
        "!",
        "!a=b",
        "-a",
        "a/b/c",
        "/a",
        "A.b/c",
        "a=-b",
        "a in (b, c!)",
        "a=ä",
        &long,
    ];
    let mut lines = String::new();
    for text in texts {
        let error = text.parse::<LabelSelector>().unwrap_err();
        writeln!(lines, "{text:?}\n  {error}").unwrap();
    }
    insta::with_settings!({
        description => "Each error gives the position, what was found there and what was expected. \
                        An empty selector is an error.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(lines);
    });
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = text.parse::<LabelSelector>();
    }

    #[test]
    fn printed_selectors_parse_to_the_same_selector(text in "( ?(!?[ab](/[c])?|[ab](=|==|!=)[xy]?| ?a (not)?in \\([x,]{0,4}\\)) ?,?){1,4}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            prop_assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector);
        }
    }
}
