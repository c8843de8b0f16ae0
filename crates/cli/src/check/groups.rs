//! Groups of equal things, so that a result about 5,000 nodes stays readable.

use std::collections::BTreeMap;

/// The names of each group, the largest group first.
pub(crate) fn grouped<K: Ord, N: Into<String>>(
    items: impl IntoIterator<Item = (K, N)>,
) -> Vec<(K, Vec<String>)> {
    let mut groups = BTreeMap::<K, Vec<String>>::new();
    for (key, name) in items {
        groups.entry(key).or_default().push(name.into());
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // Stable: equally large groups stay in the order of their keys.
    groups.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    groups
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{end}")
}

/// `3 no-istio-proxy, 1 host-network`.
pub(crate) fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let counts = counts
        .iter()
        .map(|(what, number)| format!("{number} {what}"));
    counts.collect::<Vec<_>>().join(", ")
}
