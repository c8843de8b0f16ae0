//! Failures: after any refusal the namespace is unchanged.

use std::time::Duration;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{ApplyError, Backend, Change, RunLimits, apply};
use mesh_cni_rules::Mesh;

use crate::support::{PROGRAMS, Programs, only, productpage, rules, saved, scratch, xtables};

const NFT: Backend = Backend::IptablesNft;

fn message(error: &ApplyError) -> String {
    error.to_string()
}

#[test]
fn a_refused_family_rolls_the_other_back() {
    let both = [
        rules(&productpage(), Family::V4),
        rules(&productpage(), Family::V6),
    ];
    let script = "echo 'line 3 failed: No chain/target/match by that name.' >&2; exit 1";
    let programs = Programs::of_host().with_script("ip6tables-nft-restore", script);

    let fresh = scratch();
    let refused = apply(&fresh, &programs.xtables(), only(NFT), Mesh::Istio, &both).unwrap_err();
    let error = message(&refused);
    assert!(error.contains("at `-N ISTIO_REDIRECT`"), "{error}");
    assert!(error.contains("No chain/target/match"), "{error}");
    assert!(!saved(&fresh, NFT, Family::V4).contains("ISTIO"));

    let older = scratch();
    let mut interception = productpage();
    interception.exclude_outbound_ports.clear();
    apply(
        &older,
        &xtables(),
        only(NFT),
        Mesh::Istio,
        &[rules(&interception, Family::V4)],
    )
    .unwrap();
    let before = saved(&older, NFT, Family::V4);
    apply(&older, &programs.xtables(), only(NFT), Mesh::Istio, &both).unwrap_err();
    assert_eq!(saved(&older, NFT, Family::V4), before);
}

#[test]
fn a_refused_table_rolls_the_other_back() {
    // Two tables are two transactions. The script accepts mangle and refuses nat.
    let script = "input=$(cat); case \"$input\" in *'*nat'*) \
        printf '%s\\n' \"$input\" | sed '/^\\*nat/,$d' | /usr/sbin/iptables-nft-restore \"$@\"; \
        echo 'line 6 failed: refused on purpose' >&2; exit 1;; \
        *) printf '%s\\n' \"$input\" | exec /usr/sbin/iptables-nft-restore \"$@\";; esac";
    let programs = Programs::of_host().with_script("iptables-nft-restore", script);
    let mut interception = productpage();
    interception.drop_invalid = true;
    let netns = scratch();
    let refused = apply(
        &netns,
        &programs.xtables(),
        only(NFT),
        Mesh::Istio,
        &[rules(&interception, Family::V4)],
    );
    assert!(message(&refused.unwrap_err()).contains("refused on purpose"));
    assert!(!saved(&netns, NFT, Family::V4).contains("ISTIO"));

    let applied = apply(
        &netns,
        &xtables(),
        only(NFT),
        Mesh::Istio,
        &[rules(&interception, Family::V4)],
    )
    .unwrap();
    assert_eq!(applied.change, Change::Created);
}

#[test]
fn the_next_back_end_is_tried_if_one_fails() {
    let script = "echo 'Could not fetch rule set generation id: Invalid argument' >&2; exit 1";
    let programs = Programs::of_host()
        .with_script("iptables-nft-restore", script)
        .with_script("iptables-nft-save", script);
    let netns = scratch();
    let wanted = [rules(&productpage(), Family::V4)];
    let applied = apply(&netns, &programs.xtables(), PROGRAMS, Mesh::Istio, &wanted).unwrap();
    assert_eq!(applied.backend, Backend::IptablesLegacy);
}

#[test]
fn the_next_back_end_is_not_used_if_the_first_holds_rules_of_ours() {
    let netns = scratch();
    let mut older = productpage();
    older.exclude_outbound_ports.clear();
    apply(
        &netns,
        &xtables(),
        only(NFT),
        Mesh::Istio,
        &[rules(&older, Family::V4)],
    )
    .unwrap();
    let before = saved(&netns, NFT, Family::V4);

    let programs = Programs::of_host().with_script("iptables-nft-restore", "echo no >&2; exit 1");
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&netns, &programs.xtables(), PROGRAMS, Mesh::Istio, &wanted);
    assert!(
        matches!(refused, Err(ApplyError::NoneWorks(_))),
        "{refused:?}"
    );
    assert_eq!(saved(&netns, NFT, Family::V4), before);
    assert!(!saved(&netns, Backend::IptablesLegacy, Family::V4).contains("ISTIO"));
}

#[test]
fn missing_programs_are_reported_with_the_searched_directories() {
    let empty = tempfile::tempdir().unwrap();
    let none = mesh_cni_netns::Xtables::in_directories(vec![empty.path().into()]);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &none, PROGRAMS, Mesh::Istio, &wanted).unwrap_err();
    let error = message(&refused).replace(&empty.path().display().to_string(), "DIRECTORY");
    insta::assert_snapshot!(error, @"no back end works: iptables-nft: no `iptables-nft-restore` in DIRECTORY; iptables-legacy: no `iptables-legacy-restore` in DIRECTORY");
}

#[test]
fn a_program_that_never_ends_is_killed() {
    let programs = Programs::of_host().with_script("iptables-nft-restore", "exec sleep 600");
    let mut limits = RunLimits::default();
    limits.time = Duration::from_millis(200);
    let xtables = programs.xtables().with_limits(limits);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &xtables, only(NFT), Mesh::Istio, &wanted).unwrap_err();
    assert!(message(&refused).contains("was killed"), "{refused}");
}

#[test]
fn a_program_that_prints_without_end_is_killed() {
    let programs = Programs::of_host()
        .with_script("iptables-nft-restore", "exit 1")
        .with_script("iptables-nft-save", "exec cat /dev/zero");
    let mut limits = RunLimits::default();
    limits.output = 1024 * 1024;
    let xtables = programs.xtables().with_limits(limits);
    let wanted = [rules(&productpage(), Family::V4)];
    let refused = apply(&scratch(), &xtables, only(NFT), Mesh::Istio, &wanted).unwrap_err();
    assert!(
        message(&refused).contains("exited with code 1 and no output"),
        "{refused}"
    );
}

#[test]
fn the_version_of_a_program_without_a_suffix_decides_its_back_end() {
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
    let applied = apply(&scratch(), &plain, PROGRAMS, Mesh::Istio, &wanted).unwrap();
    assert_eq!(applied.backend, Backend::IptablesLegacy);
}
