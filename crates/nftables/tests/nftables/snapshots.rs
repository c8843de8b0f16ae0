//! What is written, in the words of `nft --debug=netlink`, for a reviewer to read.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Change, compat, native};
use mesh_cni_rules::{Dialect, compile};

use crate::settings::{documented, everything};

fn told(changes: &[Change]) -> String {
    let words: Vec<_> = changes.iter().map(ToString::to_string).collect();
    words.join("\n")
}

macro_rules! snapshot {
    ($name:literal, $about:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $about,
        }, { insta::assert_snapshot!($name, $text) });
    };
}

#[test]
fn the_documented_pod() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    snapshot!(
        "documented.compat.v4",
        "The documented pod as iptables-nft 1.8.9 writes it.",
        told(&compat::create(&rules).unwrap())
    );
    snapshot!(
        "documented.native.v4",
        "The documented pod in nf_tables' own words: excluded inbound ports are one set.",
        told(&native::create(&rules).unwrap())
    );
    snapshot!(
        "documented.script.v4",
        "The documented pod in the language of nft: each excluded inbound port counts in one set.",
        native::script(&rules).unwrap()
    );
}

#[test]
fn every_kind_of_rule() {
    let rules = compile(&everything(), Dialect::Istio, Family::V6);
    snapshot!(
        "everything.native.v6",
        "TPROXY, DNS capture, invalid packets and interfaces in nf_tables' own words, IPv6.",
        told(&native::create(&rules).unwrap())
    );
    snapshot!(
        "everything.script.v6",
        "TPROXY, DNS capture, invalid packets and interfaces in the language of nft, IPv6; \
         a rule that discards follows TPROXY.",
        native::script(&rules).unwrap()
    );
}
