//! Namespace sets: what is said about bad ones, and that patterns mean what they should.

use mesh_cni_selector::{NamespacePattern, NamespaceSet, SelectionMode};
use proptest::prelude::*;

#[test]
fn a_set_as_json_and_as_text() {
    let set: NamespaceSet = serde_json::from_str(r#"["kube-*", "istio-system"]"#).unwrap();
    assert_eq!(set, "kube-*, istio-system".parse().unwrap());
    assert_eq!(set.to_string(), "kube-*,istio-system");
    assert_eq!(
        serde_json::to_string(&set).unwrap(),
        r#"["kube-*","istio-system"]"#
    );
    assert!("".parse::<NamespaceSet>().unwrap().is_empty());
}

#[test]
fn errors_name_the_item() {
    let said = |text: &str| text.parse::<NamespaceSet>().unwrap_err().to_string();
    insta::assert_snapshot!(
        [said("a,,b"), said("a,Kube-system"), said("kube_system"), said("[ab]*"), said(&"a".repeat(64))].join("\n"),
        @r"
    namespace `` is empty, expected a name such as `kube-system` or a pattern such as `kube-*`
    namespace `Kube-system` has `K` at position 1, allowed are lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `kube_system` has `_` at position 5, allowed are lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `[ab]*` has `[` at position 1, allowed are lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 64 characters, at most 63 are allowed
    "
    );
    let error = serde_json::from_str::<NamespaceSet>(r#"["a", "b c"]"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("namespace `b c` has ` ` at position 2, allowed are"),
        "{error}"
    );
}

#[test]
fn selections_have_names() {
    for selection in SelectionMode::ALL {
        assert_eq!(selection.as_str().parse(), Ok(selection));
        assert_eq!(serde_json::to_value(selection).unwrap(), selection.as_str());
    }
    assert_eq!(
        "ASM".parse::<SelectionMode>().unwrap_err().to_string(),
        "selection `ASM` is unknown, allowed are `asm`, `asm-literal` and `istio`"
    );
}

/// The definition of the wildcards, word by word; slow, and easy to believe.
fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
        [b'?', rest @ ..] => !text.is_empty() && by_definition(rest, &text[1..]),
        [sign, rest @ ..] => text.first() == Some(sign) && by_definition(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = text.parse::<NamespaceSet>();
    }

    #[test]
    fn wildcards_follow_their_definition(pattern in "[ab*?]{1,8}", text in "[ab]{0,8}") {
        let parsed: NamespacePattern = pattern.parse().unwrap();
        prop_assert_eq!(parsed.matches(&text), by_definition(pattern.as_bytes(), text.as_bytes()));
    }
}
