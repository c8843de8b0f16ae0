//! Encoded rules in the format of `nft --debug=netlink`, to review.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Change, compat, native};
use mesh_cni_rules::istio::{Dialect, compile};

use crate::settings::{documented, everything};

pub(crate) fn text(changes: &[Change]) -> String {
    let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

macro_rules! snapshot {
    ($name:literal, $description:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $text) });
    };
}

pub(crate) use snapshot;

#[test]
fn the_documented_pod() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    snapshot!(
        "documented.compat.v4",
        "The documented pod as iptables-nft 1.8.9 writes it.",
        text(&compat::create(&rules).unwrap())
    );
    snapshot!(
        "documented.native.v4",
        "The documented pod as native expressions: excluded inbound ports are one set.",
        text(&native::create(&rules).unwrap())
    );
    snapshot!(
        "documented.script.v4",
        "The documented pod in the language of nft: one set has a counter for each excluded inbound port.",
        native::script(&rules).unwrap()
    );
}

#[test]
fn every_kind_of_rule() {
    let rules = compile(&everything(), Dialect::Istio, Family::V6);
    snapshot!(
        "everything.native.v6",
        "TPROXY, DNS capture, invalid packets and interfaces as native expressions, IPv6.",
        text(&native::create(&rules).unwrap())
    );
    snapshot!(
        "everything.script.v6",
        "TPROXY, DNS capture, invalid packets and interfaces in the language of nft, IPv6; \
         a drop rule follows TPROXY.",
        native::script(&rules).unwrap()
    );
}
