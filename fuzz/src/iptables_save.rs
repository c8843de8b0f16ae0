//! The output of `iptables-save` and of `iptables -L`.

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::{Drift, Family, Listing, Rule, RuleSet, drift, parse, render};
use mesh_cni_rules::istio::OWNERSHIP;

use crate::property::assert_bounded_error;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    for family in Family::ALL {
        match parse::save(text, family) {
            Ok(rules) => check(text, &rules),
            Err(error) => assert_bounded_error(&error),
        }
    }
    match Listing::parse(text) {
        Ok(listing) => {
            let printed = listing.print(Layout::Folded);
            let read = Listing::parse(&printed).expect("a printed listing is a listing");
            assert_eq!(read, listing);
        }
        Err(error) => assert_bounded_error(&error),
    }
}

/// No rule is lost, and the rules are the same after they are written and read again.
fn check(text: &str, rules: &RuleSet) {
    assert!(rules.rule_count() <= text.lines().count());
    let found = drift(rules, rules, &OWNERSHIP);
    assert!(
        matches!(found, None | Some(Drift::NoHook { .. })),
        "{found:?}"
    );
    let saved = saved(rules);
    let read = parse::save(&saved, rules.family).expect("rendered rules can be parsed");
    for (table, again) in rules.tables.iter().zip(&read.tables) {
        for (chain, again) in table.chains.iter().zip(&again.chains) {
            assert_eq!(chain.rules.len(), again.rules.len(), "{saved}");
            for (rule, again) in chain.rules.iter().zip(&again.rules) {
                assert!(rule.is_equivalent(again), "{rule:?}\n{again:?}\n{saved}");
            }
        }
        let listing = Listing::of(rules, table.name, &OWNERSHIP);
        assert!(listing.chains.len() >= table.chains.len());
        let _text = listing.print(Layout::Aligned);
    }
    let _json = render::json(std::slice::from_ref(rules));
}

/// The output of `iptables-save`, which declares every chain and sorts the matches of a rule.
pub(crate) fn saved(rules: &RuleSet) -> String {
    let mut lines = Vec::new();
    for table in &rules.tables {
        lines.push(format!("*{}", table.name));
        let declared = table.chains.iter();
        lines.extend(declared.map(|chain| {
            let policy = chain
                .policy
                .as_ref()
                .map(|policy| policy.verdict.to_string());
            format!(":{} {} [0:0]", chain.name, policy.as_deref().unwrap_or("-"))
        }));
        for chain in &table.chains {
            lines.extend(chain.rules.iter().map(|rule| {
                let matches: Vec<_> = rule.sorted_matches().into_iter().cloned().collect();
                let rule = Rule::new(matches, rule.target.clone());
                format!("-A {} {}", chain.name, render::rule_spec(&rule))
            }));
        }
        lines.push("COMMIT".to_owned());
    }
    lines.join("\n") + "\n"
}
