//! Whatever bytes come in place of the kernel's answers: they are read or refused, and what was read
//! can be compared, replaced and removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_cni_nftables::{Batch, Dump, answers, compat, native};
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::{drift, only_ours, render};

fuzz_target!(|datagram: &[u8]| {
    let mut dump = Dump::default();
    for answer in answers(datagram).filter_map(Result::ok) {
        dump.take(answer.content);
    }
    for family in Family::ALL {
        let standing = compat::read(&dump, family);
        let nothing = RuleSet::new(family);
        // The order in which a look, a CHECK, an ADD and a DEL ask.
        for rules in [&standing.rules, &native::read(&dump, family)] {
            let _difference = drift(&nothing, rules, &OWNERSHIP);
            let _text = render::restore(&only_ours(rules, &OWNERSHIP));
        }
        let mut changes = compat::remove(&standing);
        changes.extend(native::remove(&dump, family));
        if let Ok(replacement) = compat::replace(&standing.rules, &standing) {
            changes.extend(replacement);
        }
        for change in &changes {
            let _words = change.summary();
        }
        let _bytes = Batch::new(&changes).encode();
    }
});
