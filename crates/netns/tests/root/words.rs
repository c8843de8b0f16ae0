//! Every word of the rule model is written and read by every back end, as the host's programs write
//! and read it.

use mesh_cni_netfilter::ruleset::{Family, RuleSet, TableName};
use mesh_cni_netfilter::{drift, parse, render};
use mesh_cni_netns::{Backend, Change, apply, read};
use mesh_cni_nftables::native;
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;

use crate::support::{must, only, saved, scratch, suffix, xtables};

/// Rules in a chain of ours, without addresses, so that they are for both families.
const WORDS: &str = "*nat\n:ISTIO_OUTPUT - [0:0]\n\
    -A ISTIO_OUTPUT -p tcp --dport 10000:20000 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 30000:30010 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 443 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 444 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 0:1024 -j ACCEPT\n\
    -A ISTIO_OUTPUT -p tcp ! --dport 0:1024 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 1024:65535 -j ACCEPT\n\
    -A ISTIO_OUTPUT -p tcp ! --dport 1024:65535 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 0 -j ACCEPT\n\
    -A ISTIO_OUTPUT -p udp ! --sport 1024:65535 --dport 53:54 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp -m multiport --dports 80,10000:20000,0 -j ACCEPT\n\
    -A ISTIO_OUTPUT -p tcp -m multiport ! --dports 3:4,1:2,5 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14:15 -j ACCEPT\n\
    -A ISTIO_OUTPUT -m owner --uid-owner 1000-2000 -j RETURN\n\
    -A ISTIO_OUTPUT -m owner ! --uid-owner 0-999 -j ACCEPT\n\
    -A ISTIO_OUTPUT -m owner ! --gid-owner 1337-1338 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 5:6 -m owner --uid-owner 5 -m owner --gid-owner 0-4294967294 \
    -j ACCEPT\n\
    -A ISTIO_OUTPUT -j LOG\n\
    -A ISTIO_OUTPUT -p tcp -j LOG --log-prefix OUTPUT: --log-level 7\n\
    -A ISTIO_OUTPUT -j LOG --log-prefix \"29 bytes, with 'a' \\\\ in them\" --log-level 0\n\
    -A ISTIO_OUTPUT -p tcp -m comment --comment \"mesh/with spaces, 'quotes' and \\\"these\\\"\" \
    --dport 7 -j RETURN\n\
    -A ISTIO_OUTPUT -m comment --comment plain_word -m owner --uid-owner 7 -j RETURN\n\
    -A ISTIO_OUTPUT -p udp --dport 8 -m comment --comment a/b -j RETURN\n\
    -A ISTIO_OUTPUT -p udp --dport 9 -m comment --comment a/b -j RETURN\n\
    -A ISTIO_OUTPUT -p udp --dport 10 -m comment --comment other -j RETURN\n\
    -A ISTIO_OUTPUT -m comment --comment last -j LOG --log-prefix x\n\
    COMMIT\n";

/// Rules that a list in a set merges: ranges that overlap, a port twice.
const OVERLAPS: &str = "*nat\n:ISTIO_OUTPUT - [0:0]\n\
    -A ISTIO_OUTPUT -p tcp --dport 8000:8100 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp --dport 8050:8200 -j RETURN\n\
    -A ISTIO_OUTPUT -p tcp -m multiport --dports 90:100,80,95:110,80 -j ACCEPT\n\
    -A ISTIO_OUTPUT -p tcp -m multiport ! --dports 53,53 -j RETURN\n\
    COMMIT\n";

fn rules(text: &str, family: Family) -> RuleSet {
    let rules = parse::save(text, family).unwrap();
    let of_chain = rules.tables.iter().flat_map(|table| &table.chains);
    let opaque = of_chain.flat_map(|chain| &chain.rules).find(|rule| {
        let text = format!("{rule:?}");
        text.contains("Opaque")
    });
    assert_eq!(opaque, None);
    rules
}

fn program(family: Family, suffix: &str, role: &str) -> String {
    let name = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    format!("{name}-{suffix}{role}")
}

#[test]
fn every_back_end_reads_what_it_wrote() {
    for backend in Backend::ALL {
        for text in [WORDS, OVERLAPS] {
            let netns = scratch();
            let wanted = Family::ALL.map(|family| rules(text, family));
            let applied = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
            assert_eq!(applied.change, Change::Created, "{backend}");
            let found = read(&netns, &xtables(), only(backend), &Family::ALL).unwrap();
            for (wanted, found) in wanted.iter().zip(&found.rule_sets) {
                assert_eq!(drift(wanted, found, &OWNERSHIP), None, "{backend}");
            }
            let again = apply(&netns, &xtables(), only(backend), Mesh::Istio, &wanted).unwrap();
            assert_eq!(again.change, Change::Unchanged, "{backend}");
        }
    }
}

/// The same rules by the host's program, and how it prints them.
#[test]
fn the_programs_print_the_rules_as_if_they_had_written_them() {
    let iptables = [
        Backend::Netlink,
        Backend::IptablesNft,
        Backend::IptablesLegacy,
    ];
    for backend in iptables {
        for family in Family::ALL {
            let wanted = rules(WORDS, family);
            let (ours, theirs) = (scratch(), scratch());
            apply(
                &ours,
                &xtables(),
                only(backend),
                Mesh::Istio,
                std::slice::from_ref(&wanted),
            )
            .unwrap();
            let suffix = suffix(backend);
            let restore = program(family, suffix, "-restore");
            must(&theirs, &restore, &["--noflush"], WORDS);
            assert_eq!(
                saved(&ours, backend, family),
                saved(&theirs, backend, family),
                "{backend}"
            );
            let nat = TableName::Nat.as_str();
            let list = ["-t", nat, "-L", "-n", "-v", "--line-numbers", "-x"];
            let list = |netns| must(netns, &program(family, suffix, ""), &list, "");
            assert_eq!(list(&ours), list(&theirs), "{backend}");
            if suffix == "nft" {
                let expressions = ["--debug=netlink", "list", "ruleset"];
                let expressions = |netns| must(netns, "nft", &expressions, "");
                assert_eq!(expressions(&ours), expressions(&theirs), "{backend}");
            }
        }
    }
}

/// `render --format nft` prints what the back end nft-native writes.
#[test]
fn nft_reads_the_script_of_native_rules() {
    // nft joins adjacent elements of a set with ranges, and has no escape for quotes.
    let is_different = |line: &&str| {
        [":15 ", "3:4,1:2", "these"]
            .iter()
            .any(|words| line.contains(words))
    };
    let lines: Vec<_> = WORDS.lines().filter(|line| !is_different(line)).collect();
    let wanted = [rules(&(lines.join("\n") + "\n"), Family::V4)];
    let (ours, theirs) = (scratch(), scratch());
    apply(
        &ours,
        &xtables(),
        only(Backend::NftNative),
        Mesh::Istio,
        &wanted,
    )
    .unwrap();
    must(
        &theirs,
        "nft",
        &["-f", "-"],
        &native::script(&wanted[0]).unwrap(),
    );
    let saved = |netns| saved(netns, Backend::NftNative, Family::V4);
    assert_eq!(saved(&ours), saved(&theirs));
}

#[test]
fn nft_lists_native_rules() {
    let netns = scratch();
    let wanted = [rules(WORDS, Family::V4)];
    apply(
        &netns,
        &xtables(),
        only(Backend::NftNative),
        Mesh::Istio,
        &wanted,
    )
    .unwrap();
    let text = render::restore(&wanted[0]) + &saved(&netns, Backend::NftNative, Family::V4);
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "rules, and what `nft list ruleset` prints after nft-native applied them",
    }, { insta::assert_snapshot!("words.native.v4", text) });
}
