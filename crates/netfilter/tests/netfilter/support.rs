//! The rules of a sidecar as sample data, and snapshots in `tests/snapshots`.

use std::borrow::Cow;
use std::net::IpAddr;

use mesh_cni_netfilter::{ChainName, Family, NetnsAddresses, Ownership, RuleSet, parse};

/// The nat rules of a sidecar that excludes some ports and an address.
pub(crate) const SIDECAR: &str = include_str!("../data/sidecar.v4.save");
/// The nat rules of a sidecar that captures only inbound port 9080.
pub(crate) const SIDECAR_9080: &str = include_str!("../data/sidecar-9080.v4.save");

/// The chains and the mark of the sidecar.
pub(crate) static OWNERSHIP: Ownership = Ownership {
    chains: Cow::Borrowed(&[
        DROP,
        INBOUND,
        REDIRECT,
        IN_REDIRECT,
        OUTPUT_RULES,
        OUTPUT_DNS,
    ]),
    marks: Cow::Borrowed(&[1337]),
    comment_prefixes: Cow::Borrowed(&["mesh/"]),
    excludes_interfaces: true,
};
pub(crate) const DROP: ChainName = ChainName::constant("ISTIO_DROP");
pub(crate) const INBOUND: ChainName = ChainName::constant("ISTIO_INBOUND");
pub(crate) const REDIRECT: ChainName = ChainName::constant("ISTIO_REDIRECT");
pub(crate) const IN_REDIRECT: ChainName = ChainName::constant("ISTIO_IN_REDIRECT");
pub(crate) const OUTPUT_RULES: ChainName = ChainName::constant("ISTIO_OUTPUT");
pub(crate) const OUTPUT_DNS: ChainName = ChainName::constant("ISTIO_OUTPUT_DNS");

pub(crate) fn saved(text: &str) -> RuleSet {
    parse::save(text, Family::V4).expect("the text is in the format of iptables-save")
}

pub(crate) fn pod() -> NetnsAddresses {
    let addresses = [IpAddr::from([10, 244, 1, 17]), "fd00::17".parse().unwrap()];
    NetnsAddresses::pod(&addresses)
}

/// Compares with `tests/snapshots/NAME.snap`.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}
pub(crate) use assert_snapshot;
