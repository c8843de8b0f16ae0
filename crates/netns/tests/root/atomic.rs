//! Faults: whatever is refused, the namespace is as it was.

use std::time::Duration;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{ApplyError, Backend, Change, RunLimits, apply};

use crate::support::{PROGRAMS, Programs, only, productpage, rules, saved, scratch, xtables};

const NFT: Backend = Backend::IptablesNft;

fn message(error: &ApplyError) -> String {
    error.to_string()
}

#[test]
fn a_family_that_is_refused_takes_the_other_back() {
    let both = [
        rules(&productpage(), Family::V4),
        rules(&productpage(), Family::V6),
    ];
    let fault = "echo 'line 3 failed: No chain/target/match by that name.' >&2; exit 1";
    let programs = Programs::of_host().with_fault("ip6tables-nft-restore", fault);

    let fresh = scratch();
    let refused = apply(&fresh, &programs.xtables(), only(NFT), &both).unwrap_err();
    let said = message(&refused);
    assert!(said.contains("at `-N ISTIO_REDIRECT`"), "{said}");
    assert!(said.contains("No chain/target/match"), "{said}");
    assert!(!saved(&fresh, NFT, Family::V4).contains("ISTIO"));

    let older = scratch();
    let mut interception = productpage();
    interception.exclude_outbound_ports.clear();
    apply(
        &older,
        &xtables(),
        only(NFT),
        &[rules(&interception, Family::V4)],
    )
    .unwrap();
    let before = saved(&older, NFT, Family::V4);
    apply(&older, &programs.xtables(), only(NFT), &both).unwrap_err();
    assert_eq!(saved(&older, NFT, Family::V4), before);
}

#[test]
fn a_table_that_is_refused_takes_the_other_back() {
    // Two tables are two transactions. The fault lets mangle through and refuses nat.
    let fault = "input=$(cat); case \"$input\" in *'*nat'*) \
        printf '%s\\n' \"$input\" | sed '/^\\*nat/,$d' | /usr/sbin/iptables-nft-restore \"$@\"; \
        echo 'line 6 failed: refused on purpose' >&2; exit 1;; \
        *) printf '%s\\n' \"$input\" | exec /usr/sbin/iptables-nft-restore \"$@\";; esac";
    let programs = Programs::of_host().with_fault("iptables-nft-restore", fault);
    let mut interception = productpage();
    interception.drop_invalid = true;
    let netns = scratch();
    let refused = apply(
        &netns,
        &programs.xtables(),
        only(NFT),
        &[rules(&interception, Family::V4)],
    );
    assert!(message(&refused.unwrap_err()).contains("refused on purpose"));
    assert!(!saved(&netns, NFT, Family::V4).contains("ISTIO"));

    let applied = apply(
        &netns,
        &xtables(),
        only(NFT),
        &[rules(&interception, Family::V4)],
    )
    .unwrap();
    assert_eq!(applied.change, Change::Created);
}

#[test]
fn the_next_back_end_is_tried_where_one_does_not_work() {
    let fault = "echo 'Could not fetch rule set generation id: Invalid argument' >&2; exit 1";
    let programs = Programs::of_host()
        .with_fault("iptables-nft-restore", fault)
        .with_fault("iptables-nft-save", fault);
    let netns = scratch();
    let wanted = [rules(&productpage(), Family::V4)];
    let applied = apply(&netns, &programs.xtables(), PROGRAMS, &wanted).unwrap();
    assert_eq!(applied.backend, Backend::IptablesLegacy);
}

#[test]
fn the_next_back_end_is_left_alone_where_rules_of_ours_stand_in_the_first() {
    let netns = scratch();
    let mut older = productpage();
    older.exclude_outbound_ports.clear();
    apply(&netns, &xtables(), only(NFT), &[rules(&older, Family::V4)]).unwrap();
    let before = saved(&netns, NFT, Family::V4);

    let programs = Programs::of_host().with_fault("iptables-nft-restore", "echo no >&2; exit 1");
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&netns, &programs.xtables(), PROGRAMS, &wanted);
    assert!(
        matches!(refused, Err(ApplyError::NoneWorks(_))),
        "{refused:?}"
    );
    assert_eq!(saved(&netns, NFT, Family::V4), before);
    assert!(!saved(&netns, Backend::IptablesLegacy, Family::V4).contains("ISTIO"));
}

#[test]
fn no_program_at_all_is_told_with_where_it_was_looked_for() {
    let empty = tempfile::tempdir().unwrap();
    let none = mesh_cni_netns::Xtables::in_directories(vec![empty.path().into()]);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &none, PROGRAMS, &wanted).unwrap_err();
    let said = message(&refused).replace(&empty.path().display().to_string(), "DIRECTORY");
    insta::assert_snapshot!(said, @"no back end works: iptables-nft: no `iptables-nft-restore` in DIRECTORY; iptables-legacy: no `iptables-legacy-restore` in DIRECTORY");
}

#[test]
fn a_program_that_never_ends_is_killed() {
    let programs = Programs::of_host().with_fault("iptables-nft-restore", "exec sleep 600");
    let mut limits = RunLimits::default();
    limits.time = Duration::from_millis(200);
    let xtables = programs.xtables().with_limits(limits);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &xtables, only(NFT), &wanted).unwrap_err();
    assert!(message(&refused).contains("was killed"), "{refused}");
}

#[test]
fn a_program_without_end_of_words_is_killed() {
    let programs = Programs::of_host()
        .with_fault("iptables-nft-restore", "exit 1")
        .with_fault("iptables-nft-save", "exec cat /dev/zero");
    let mut limits = RunLimits::default();
    limits.output = 1024 * 1024;
    let xtables = programs.xtables().with_limits(limits);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &xtables, only(NFT), &wanted).unwrap_err();
    assert!(
        message(&refused).contains("exit code 1 without a word"),
        "{refused}"
    );
}

#[test]
fn a_plain_program_is_taken_for_what_it_says_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["iptables-restore", "iptables-save"] {
        let real = format!(
            "/usr/sbin/{}",
            name.replace("iptables-", "iptables-legacy-")
        );
        std::os::unix::fs::symlink(real, directory.path().join(name)).unwrap();
    }
    let plain = mesh_cni_netns::Xtables::in_directories(vec![directory.path().into()]);
    let wanted = [rules(&productpage(), Family::V4)];
    let applied = apply(&scratch(), &plain, PROGRAMS, &wanted).unwrap();
    assert_eq!(applied.backend, Backend::IptablesLegacy);
}
