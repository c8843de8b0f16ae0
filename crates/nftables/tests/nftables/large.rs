//! The longest lists that annotations of a pod can hold. With quadratic work these tests would take
//! minutes.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Change, native};
use mesh_cni_rules::istio::{Dialect, compile};

use crate::settings::interception;

/// The number of elements of each large set that the rules for a list of ranges need.
fn set_sizes(ranges: &[String]) -> Vec<usize> {
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    let interception = interception(&[(key, ranges.join(","))], &[]);
    let rules = compile(&interception, Dialect::Istio, Family::V4);
    let changes = native::create(&rules).unwrap();
    changes
        .iter()
        .filter_map(|change| match change {
            Change::AddSet(set) => Some(set.elements.len()),
            _ => None,
        })
        .filter(|elements| *elements >= ranges.len())
        .collect()
}

#[test]
fn tens_of_thousands_of_ranges_fold_into_one_set() {
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
    // Each range is a start and an end. The rule for the loopback address is one more.
    assert_eq!(set_sizes(&ranges), [2 * (ranges.len() + 1)]);
}
