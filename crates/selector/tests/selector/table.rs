//! Every manifest in every selection, as one table to read; and the conditions behind one of them.

use std::fmt::Write;

use mesh_cni_selector::{PodFacts, Policy, SelectionMode, SkipReason, conditions, select};

use crate::support::{MANIFESTS, policy};

#[test]
fn decisions_over_all_manifests() {
    let mut table = String::new();
    for (file, text) in MANIFESTS {
        let facts = PodFacts::from_manifest(text).unwrap();
        writeln!(table, "{file}  ({}/{})", facts.namespace, facts.name).unwrap();
        for selection in SelectionMode::ALL {
            let decision = select(&facts, &policy(selection)).unwrap();
            let code = decision.reason().map_or("redirect", SkipReason::code);
            writeln!(table, "  {:<12} {code:<23} {decision}", selection.as_str()).unwrap();
        }
    }
    insta::with_settings!({
        description => "Redirected in all selections: productpage, native-sidecar and list. \
                        `job` is skipped by asm-literal alone, which is why that is not the default; \
                        `proxyless` by istio alone. No other pod is redirected by asm or istio.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(table);
    });
}

#[test]
fn conditions_of_productpage() {
    let facts = PodFacts::from_manifest(MANIFESTS[0].1).unwrap();
    let mut table = String::new();
    for selection in SelectionMode::ALL {
        writeln!(table, "{selection}").unwrap();
        for (place, condition) in conditions(&facts, &policy(selection)).iter().enumerate() {
            let mark = if condition.holds { "yes" } else { "no" };
            writeln!(
                table,
                "  {} {:<40} {mark:<3}  {}",
                place + 1,
                condition.name,
                condition.fact
            )
            .unwrap();
        }
    }
    insta::with_settings!({
        description => "The document's order in asm and asm-literal, which differ in the fifth line only; \
                        Istio's order in istio. Our own first condition leads each. All say yes.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(table);
    });
}

#[test]
fn conditions_go_on_after_the_first_that_fails() {
    let facts = PodFacts::from_manifest(MANIFESTS[7].1).unwrap();
    let failing: Vec<_> = conditions(&facts, &Policy::default())
        .into_iter()
        .filter(|condition| !condition.holds)
        .map(|condition| condition.name)
        .collect();
    assert_eq!(
        failing,
        [
            "it has more than one container",
            "injection is not disabled"
        ]
    );
}
