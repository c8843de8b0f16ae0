//! Label selectors: what they match, how they are written, what is said about bad ones.

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
fn written_as_kubernetes_writes_them() {
    for (text, written) in [
        (" a = b , c != d ", "a=b,c!=d"),
        ("e in ( y,x , x )", "e in (x,y)"),
        ("f notin (z)", "f!=z"),
        ("a in ()", "a="),
        ("a in (,b)", "a in (,b)"),
        ("g, ! h", "g,!h"),
    ] {
        let selector: LabelSelector = text.parse().unwrap();
        assert_eq!(selector.to_string(), written);
        assert_eq!(written.parse::<LabelSelector>().unwrap(), selector);
        assert_eq!(
            serde_json::to_value(&selector).unwrap(),
            Value::from(written)
        );
    }
}

#[test]
fn the_object_form_is_the_same_selector() {
    let object = json!({
        "matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["x", "y"]},
            {"key": "d", "operator": "NotIn", "values": ["z", "w"]},
            {"key": "e", "operator": "Exists"},
            {"key": "f", "operator": "DoesNotExist", "values": []},
        ],
    });
    let selector: LabelSelector = serde_json::from_value(object).unwrap();
    assert_eq!(selector.to_string(), "a=b,c in (x,y),d notin (w,z),e,!f");
    assert_eq!(
        serde_json::from_value::<LabelSelector>(json!(selector.to_string())).unwrap(),
        selector
    );
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
    let objects = [
        json!({}),
        json!({"matchlabels": {}}),
        json!({"matchLabels": {"a b": "c"}}),
        json!({"matchLabels": {"a": "b c"}}),
        json!({"matchExpressions": [{"key": "a", "operator": "Is"}]}),
        json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
        json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
        json!({"matchExpressions": [{"operator": "Exists"}]}),
        json!(["a=b"]),
    ];
    let mut said = String::new();
    for text in texts {
        let error = text.parse::<LabelSelector>().unwrap_err();
        writeln!(said, "{text:?}\n  {error}").unwrap();
    }
    for object in objects {
        let error = serde_json::from_value::<LabelSelector>(object.clone()).unwrap_err();
        writeln!(said, "{object}\n  {error}").unwrap();
    }
    insta::with_settings!({
        description => "Each error of a text names what stands at which position and what may stand there; \
                        each error of an object names key and operator. An empty selector is refused.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(said);
    });
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = text.parse::<LabelSelector>();
    }

    #[test]
    fn what_is_read_is_written_and_read_again(text in "( ?(!?[ab](/[c])?|[ab](=|==|!=)[xy]?| ?a (not)?in \\([x,]{0,4}\\)) ?,?){1,4}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            prop_assert_eq!(selector.to_string().parse::<LabelSelector>().unwrap(), selector);
        }
    }
}
