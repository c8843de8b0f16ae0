//! Lists as long as a pod's annotations can hold: work that grows with the square of the list would
//! keep these tests for minutes.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Change, native};
use mesh_cni_rules::{Dialect, compile};

use crate::settings::interception;

/// Set elements of the changes that make the rules for that list of ranges, one number a set.
fn elements(ranges: &[String]) -> Vec<usize> {
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    let interception = interception(&[(key, ranges.join(","))], &[]);
    let rules = compile(&interception, Dialect::Istio, Family::V4);
    let changes = native::create(&rules).unwrap();
    let sets = changes.iter().filter_map(|change| match change {
        Change::AddSet(set) => Some(set.elements.len()),
        _ => None,
    });
    sets.filter(|elements| *elements >= ranges.len()).collect()
}

#[test]
fn ranges_by_the_ten_thousand_fold_into_one_set() {
    let ranges: Vec<_> = (0..40_000_u32)
        .map(|number| {
            format!(
                "{}.{}.{}.0/24",
                number >> 15,
                number >> 7 & 255,
                number << 1 & 255
            )
        })
        .collect();
    // Each is a beginning and an end; the loopback's own rule is one more.
    assert_eq!(elements(&ranges), [2 * (ranges.len() + 1)]);
}
