//! Names that are similar to one that does not exist.

use std::cmp::Reverse;

/// How many names are suggested.
const MOST: usize = 5;

/// How similar a name must be, from 0 to 1.
const SIMILAR: f64 = 0.8;

/// The names that are nearest to the wanted one, the nearest first. A controller's name, such as a
/// Deployment's, is the start of the names of its pods.
pub(crate) fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut near: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((rank(wanted, &name)?, name)))
        .collect();
    near.sort();
    near.dedup();
    if near
        .first()
        .is_some_and(|(rank, _)| rank.is_of_controller())
    {
        near.retain(|(rank, _)| rank.is_of_controller());
    }
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name).collect()
}

/// The smaller, the nearer.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    OfController,
    /// With the similarity in thousandths.
    Similar(Reverse<u32>),
}

impl Rank {
    fn is_of_controller(&self) -> bool {
        matches!(self, Self::OfController)
    }
}

/// None for a name that is not near.
fn rank(wanted: &str, name: &str) -> Option<Rank> {
    let suffix = name
        .strip_prefix(wanted)
        .and_then(|rest| rest.strip_prefix('-'));
    if suffix.is_some_and(is_pod_suffix) {
        return Some(Rank::OfController);
    }
    let similarity = strsim::jaro_winkler(wanted, name);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to 1"
    )]
    let in_thousandths = (similarity * 1000.0) as u32;
    (similarity >= SIMILAR || name.contains(wanted))
        .then_some(Rank::Similar(Reverse(in_thousandths)))
}

/// Whether a controller gives its pods such a suffix: an ordinal, five random characters, or these after a
/// hash.
fn is_pod_suffix(suffix: &str) -> bool {
    let is_random = |text: &str| text.len() == 5;
    match suffix.split_once('-') {
        Some((_hash, random)) => is_random(random),
        None => is_random(suffix) || suffix.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = [
        "shop/cart-6b9f5d4f7c-x2k8q",
        "shop/cart-6b9f5d4f7c-9wbzd",
        "shop/cart-db-0",
        "shop/web-0",
        "shop/web-1",
        "blog/web-0",
        "kube-system/coredns-5d78c9869d-abcde",
    ];

    fn near(wanted: &str) -> String {
        nearest(wanted, NAMES.map(str::to_owned)).join(" ")
    }

    #[test]
    fn pods_of_a_controller_are_first() {
        let cart = "shop/cart-6b9f5d4f7c-9wbzd shop/cart-6b9f5d4f7c-x2k8q";
        assert_eq!(near("shop/cart"), cart);
        assert_eq!(near("shop/web"), "shop/web-0 shop/web-1");
    }

    #[test]
    fn similar_names_are_sorted_by_similarity() {
        assert_eq!(near("shop/web-2"), "shop/web-0 shop/web-1");
        assert_eq!(near("blog/wbe-0"), "blog/web-0");
        assert_eq!(near("other/zzz"), "");
    }
}
