//! What Kuma's sidecar defines by convention: ports, names of chains, and comments.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use mesh_cni_netfilter::{Match, Ownership, PortNames, Rule, Target};

use super::chains;

/// What the comment of each rule of Kuma begins with.
///
/// Kuma has rules in built-in chains that name no chain of its own, and recognizes them by their comments. Without
/// comments its own programs refuse a namespace that has its chains.
pub const COMMENT_PREFIX: &str = "kuma/mesh/transparent/proxy/";

/// What is ours in the network namespace of a pod of Kuma.
pub static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&chains::OURS),
    marks: Cow::Borrowed(&[]),
    comment_prefixes: Cow::Borrowed(&[COMMENT_PREFIX]),
    excludes_interfaces: false,
};

/// The ports on which the sidecar listens.
pub const PORT_NAMES: PortNames = PortNames(&[
    (15001, "kuma-sidecar's outbound listener on 15001"),
    (15006, "kuma-sidecar's inbound listener on 15006"),
    (15053, "kuma-sidecar's DNS listener on 15053"),
]);

/// The ports on which a sidecar listens by default.
pub const PROXY_PORTS: RangeInclusive<u16> = 15001..=15053;

/// A rule with that comment, which Kuma writes in front of the other conditions.
///
/// `nft` accepts at most 128 bytes with the prefix.
pub(super) fn commented(
    text: &str,
    matches: impl IntoIterator<Item = Match>,
    target: Target,
) -> Rule {
    let comment = Match::Comment(format!("{COMMENT_PREFIX}{text}"));
    let matches: Vec<_> = std::iter::once(comment).chain(matches).collect();
    Rule::new(matches, target)
}
