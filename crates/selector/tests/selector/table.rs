//! The selections of all manifests in all modes, and all conditions of one manifest.

use std::fmt::Write;

use mesh_cni_selector::{PodFacts, Policy, SelectionMode, SkipReason, conditions, select};

use crate::support::{MANIFESTS, policy};

#[test]
fn selections_of_all_manifests() {
    let mut table = String::new();
    for (file, text) in MANIFESTS {
        let facts = PodFacts::from_manifest(text).unwrap();
        writeln!(table, "{file}  ({}/{})", facts.namespace, facts.name).unwrap();
        for mode in SelectionMode::ALL {
            let selection = select(&facts, &policy(mode)).unwrap();
            let code = selection.reason().map_or("redirect", SkipReason::code);
            writeln!(table, "  {:<12} {code:<23} {selection}", mode.as_str()).unwrap();
        }
    }
    insta::with_settings!({
        description => "All modes redirect productpage, native-sidecar and list. \
                        Only asm-literal skips job, which is why it is not the default. \
                        asm-literal redirects proxyless and gateway-with-log-shipper, whose type it does \
                        not check. No mode redirects another pod.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(table);
    });
}

#[test]
fn conditions_of_productpage() {
    let facts = PodFacts::from_manifest(MANIFESTS[0].1).unwrap();
    let mut table = String::new();
    for mode in SelectionMode::ALL {
        writeln!(table, "{mode}").unwrap();
        for (number, condition) in (1..).zip(conditions(&facts, &policy(mode))) {
            let holds = if condition.holds { "yes" } else { "no" };
            writeln!(
                table,
                "  {number} {:<40} {holds:<3}  {}",
                condition.name, condition.fact
            )
            .unwrap();
        }
    }
    insta::with_settings!({
        description => "asm and asm-literal have the order of the ASM document and differ in the fifth line; asm \
                        also checks that the proxy is Envoy as a sidecar. istio has Istio's order. The first and the \
                        last condition are additions of this crate. All conditions hold.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(table);
    });
}

#[test]
fn conditions_after_the_first_failure_are_evaluated() {
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
            "injection is not disabled",
            "the proxy's type is `sidecar`"
        ]
    );
}
