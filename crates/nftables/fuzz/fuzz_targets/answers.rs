//! Any bytes instead of the kernel's answers are decoded or refused; decoded rules can be compared,
//! replaced and removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::{drift, only_ours, render};
use mesh_cni_nftables::{Batch, Dump, answers, compat, native};
use mesh_cni_rules::OWNERSHIP;

fuzz_target!(|datagram: &[u8]| {
    let mut dump = Dump::default();
    for answer in answers(datagram).filter_map(Result::ok) {
        dump.take(answer.content);
    }
    for family in Family::ALL {
        let installed = compat::read(&dump, family);
        let nothing = RuleSet::new(family);
        // The calls that verify, CHECK, ADD and DEL make.
        for rules in [&installed.rules, &native::read(&dump, family)] {
            let _difference = drift(&nothing, rules, &OWNERSHIP);
            let _text = render::restore(&only_ours(rules, &OWNERSHIP));
        }
        let mut changes = compat::remove(&installed, &OWNERSHIP);
        changes.extend(native::remove(&dump, family));
        if let Ok(replacement) = compat::replace(&installed.rules, &installed, &OWNERSHIP) {
            changes.extend(replacement);
        }
        for change in &changes {
            let _summary = change.summary();
        }
        let _bytes = Batch::new(&changes).encode();
    }
});
