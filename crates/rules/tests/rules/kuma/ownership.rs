//! Which rules in a namespace are Kuma's.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{only_ours, parse, transaction};
use mesh_cni_rules::kuma::{COMMENT_PREFIX, OWNERSHIP};
use serde_json::json;

use super::rules;

#[test]
fn every_rule_has_a_comment_that_every_program_accepts_and_is_ours() {
    let config = json!({
        "dropInvalidPackets": true,
        "log": {"enabled": true},
        "redirect": {
            "dns": {"enabled": true, "captureAll": true},
            "vnet": {"networks": ["docker0:172.17.0.0/16"]},
            "inbound": {"includePorts": "80", "excludePortsForIPs": "10.0.0.1"},
            "outbound": {
                "excludePorts": "22",
                "excludePortsForIPs": "10.0.0.1",
                "excludePortsForUIDs": ["1000"]
            }
        }
    });
    let compiled = rules(&config, Family::V4);
    for chain in compiled.tables.iter().flat_map(|table| &table.chains) {
        for rule in &chain.rules {
            let comments = rule.comments();
            let [comment] = comments[..] else {
                panic!("{}: {rule:?}", chain.name)
            };
            assert!(comment.starts_with(COMMENT_PREFIX), "{comment}");
            // libnftnl's NFTNL_UDATA_COMMENT_MAXLEN; nft has no escapes.
            assert!(comment.len() <= 128 && !comment.contains('"'), "{comment}");
        }
    }
    assert_eq!(only_ours(&compiled, &OWNERSHIP), compiled);
}

#[test]
fn rules_of_others_stay() {
    let others = "
        -A PREROUTING -i net1 -j RETURN
        -A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053
        -A OUTPUT -p tcp -m comment --comment \"not kuma/mesh/transparent/proxy/\" -j RETURN
    ";
    let found = format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUMA_MESH_OUTBOUND - [0:0]\n{others}\
         -A OUTPUT -m comment --comment kuma/mesh/transparent/proxy/anything -j LOG\n\
         -A OUTPUT -p tcp -j KUMA_MESH_OUTBOUND\nCOMMIT\n"
    );
    let found = found.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let found = parse::save(&found, Family::V4).expect("valid rules");
    insta::assert_snapshot!(transaction::remove(&found, &OWNERSHIP), @r#"
    *nat
    :KUMA_MESH_OUTBOUND - [0:0]
    -D OUTPUT -m comment --comment "kuma/mesh/transparent/proxy/anything" -j LOG
    -D OUTPUT -p tcp -j KUMA_MESH_OUTBOUND
    -X KUMA_MESH_OUTBOUND
    COMMIT
    "#);
}
