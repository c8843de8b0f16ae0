//! Namespace sets and selection modes: parsing, errors and matching.

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
fn errors_contain_the_item() {
    let error = |text: &str| text.parse::<NamespaceSet>().unwrap_err().to_string();
    insta::assert_snapshot!(
        [error("a,,b"), error("a,Kube-system"), error("kube_system"), error("[ab]*"), error(&"a".repeat(64))].join("\n"),
        @r"
    namespace name is empty, expected a name such as `kube-system` or a pattern such as `kube-*`
    namespace `Kube-system` has `K` at position 1, expected lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `kube_system` has `_` at position 5, expected lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `[ab]*` has `[` at position 1, expected lower-case letters, digits, `-`, and the wildcards `*` and `?`
    namespace `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 64 characters, at most 63 are allowed
    "
    );
    let error = serde_json::from_str::<NamespaceSet>(r#"["a", "b c"]"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("namespace `b c` has ` ` at position 2, expected"),
        "{error}"
    );
}

#[test]
fn modes_have_names() {
    for mode in SelectionMode::ALL {
        assert_eq!(mode.as_str().parse(), Ok(mode));
        assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
    }
    assert_eq!(
        "ASM".parse::<SelectionMode>().unwrap_err().to_string(),
        "selection `ASM` is unknown, expected `asm`, `asm-literal` or `istio`"
    );
}

/// A slow but simple implementation of the wildcards.
fn matches_simply(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|taken| matches_simply(rest, &text[taken..])),
        [b'?', rest @ ..] => !text.is_empty() && matches_simply(rest, &text[1..]),
        [byte, rest @ ..] => text.first() == Some(byte) && matches_simply(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = text.parse::<NamespaceSet>();
    }

    #[test]
    fn patterns_match_as_the_simple_implementation(pattern in "[ab*?]{1,8}", text in "[ab]{0,8}") {
        let parsed: NamespacePattern = pattern.parse().unwrap();
        prop_assert_eq!(parsed.matches(&text), matches_simply(pattern.as_bytes(), text.as_bytes()));
    }
}
