//! `init --mesh linkerd`: the flags of linkerd2-proxy-init give the rules that the plugin writes.

use std::fs;
use std::path::Path;

use crate::support::{Ended, assert_snapshot, refusals, run};

const REQUIRED: [&str; 5] = ["--simulate", "-p", "4143", "-o", "4140"];

/// The arguments with which Linkerd's injector starts linkerd-init, without the IPv6 rules that they
/// leave out by default.
const INJECTED: [&str; 12] = [
    "--firewall-bin-path",
    "iptables-nft",
    "--firewall-save-bin-path",
    "iptables-nft-save",
    "--inbound-ports-to-ignore",
    "4190,4191,4567,4568",
    "--outbound-ports-to-ignore",
    "4567,4568",
    "--log-format",
    "json",
    "--log-level",
    "debug",
];

fn linkerd(flags: &[&str]) -> Ended {
    run(&[&["init", "--mesh", "linkerd"], &REQUIRED[..], flags].concat())
}

/// The rules of both families that the plugin writes for a scenario.
fn scenario(name: &str) -> String {
    let folder = Path::new("../../tests/scenarios").join(name);
    let rules = |file: &str| {
        let snapshot = fs::read_to_string(folder.join(file)).unwrap();
        let (_, rules) = snapshot.split_once("\n---\n").expect("a header ends");
        rules.to_owned()
    };
    rules("restore.v4.snap") + &rules("restore.v6.snap")
}

#[test]
fn the_rules_are_those_of_the_plugin_for_the_same_settings() {
    let user = ["-u", "2102"];
    for (name, flags) in [
        ("linkerd-injected", &INJECTED[..]),
        (
            "linkerd-ipv6-and-group",
            &[
                "-g",
                "2103",
                "--inbound-ports-to-ignore=4191,4190",
                "--outbound-ports-to-ignore",
                "443",
            ],
        ),
        (
            "linkerd-listed-ports",
            &[
                "-r",
                "8080",
                "--ports-to-redirect=8081, 4191",
                "--inbound-ports-to-ignore",
                "4191",
                "--inbound-ports-to-ignore",
                "4190",
                "-w",
            ],
        ),
        (
            "linkerd-port-ranges",
            &[
                "--inbound-ports-to-ignore",
                "4190,4191,22,8000-8010,9000-9000,10000-10001,1,2,3,4,5,6,7,8,9",
                "--outbound-ports-to-ignore",
                "443,5000-5010",
                "--iptables-mode=plain",
            ],
        ),
        (
            "linkerd-subnets-of-both-families",
            &[
                "--inbound-ports-to-ignore",
                "4191,4190",
                "--subnets-to-ignore",
                "10.99.0.0/24",
                "--subnets-to-ignore",
                "fd00:99::/64",
            ],
        ),
    ] {
        let ended = linkerd(&[&user[..], flags].concat());
        assert_eq!(ended.stderr, "", "{name}");
        assert_eq!(ended.result(), scenario(name), "{name}");
    }
}

#[test]
fn ipv6_rules_are_left_out_on_request() {
    let both = linkerd(&["-u", "2102"]).result();
    let ipv4 = linkerd(&["-u", "2102", "--ipv6=false"]).result();
    assert_eq!(both, ipv4.repeat(2), "no rule has an address");
    assert_eq!(linkerd(&["-u", "2102", "--ipv6"]).result(), both);
}

#[test]
fn a_user_of_zero_and_less_has_no_rule() {
    let without = linkerd(&[]).result();
    assert!(!without.contains("owner"), "{without}");
    for id in ["0", "-1", "-5"] {
        assert_eq!(linkerd(&["-u", id, "-g", id]).result(), without, "{id}");
    }
}

#[test]
fn a_setting_without_effect_is_a_warning() {
    for (flags, warning) in [
        (
            &["-g", "0"][..],
            "warning: the rules exempt no user and no group, so the proxy's own traffic returns to it: \
             set --proxy-uid, usually to 2102\n",
        ),
        (
            &[
                "-u",
                "2102",
                "--ipv6=false",
                "--subnets-to-ignore",
                "fd00::/8",
            ],
            "warning: flag --subnets-to-ignore: no rule is written for `fd00::/8`: --ipv6 is false\n",
        ),
        (
            &[
                "-u",
                "2102",
                "--iptables-mode",
                "nft",
                "--firewall-bin-path",
                "iptables-legacy",
            ],
            "warning: flag --firewall-bin-path has no effect with flag --iptables-mode\n",
        ),
        (
            &["-u", "2102", "--timeout-close-wait-secs", "3600"],
            "note: also needs `3600` in \
             /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait\n",
        ),
    ] {
        let ended = linkerd(flags);
        assert_eq!(ended.stderr, warning);
        assert!(ended.result().starts_with("*nat\n"));
    }
}

#[test]
fn each_mesh_has_its_own_flags() {
    for arguments in [
        &["init", "--mesh", "linkerd", "-z", "15006"][..],
        &["init", "--mesh=linkerd", "--dry-run"],
        &["init", "--incoming-proxy-port", "4143"],
        &["init", "--mesh=istio", "--simulate"],
        &["init", "--mesh", "kuma"],
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
    // Also behind other flags.
    let last = [
        "init",
        "-p",
        "4143",
        "-o",
        "4140",
        "-u=2102",
        "--simulate",
        "--mesh=linkerd",
    ];
    assert_eq!(run(&last).result(), linkerd(&["-u", "2102"]).result());
    let of_istio = ["init", "--mesh", "istio", "-n"];
    assert_eq!(run(&of_istio).result(), run(&["init", "-n"]).result());
}

#[test]
fn bad_flags_are_refused() {
    let base = ["init", "--mesh=linkerd", "--simulate"];
    let ports = [&base[..], &["-p", "4143", "-o", "4140"]].concat();
    let of = |flags: &[&'static str]| [&ports[..], flags].concat();
    let cases = [
        [&base[..], &["-o", "4140"]].concat(),
        [&base[..], &["-p", "0", "-o", "4140"]].concat(),
        [&base[..], &["-p", "-1", "-o", "4140"]].concat(),
        of(&["-u", "linkerd"]),
        of(&["-r", "8080-8090"]),
        of(&["--inbound-ports-to-ignore", "4190,http"]),
        of(&["--inbound-ports-to-ignore", "4190,"]),
        of(&["--outbound-ports-to-ignore", "443,9000-8000"]),
        of(&["--subnets-to-ignore", "10.0.0.0/8,10.1.2"]),
        of(&["--timeout-close-wait-secs", "-1"]),
        of(&["--iptables-mode", "ebtables"]),
        of(&["--firewall-bin-path", "/sbin/iptables-nft"]),
        of(&["--log-level", "loud"]),
        of(&["--ipv6=maybe"]),
        of(&["--netns", "/no/such/namespace"]),
    ];
    let cases: Vec<_> = cases.iter().map(|case| (&case[..], "")).collect();
    assert_snapshot!(
        "refusals-init-linkerd",
        "exit 2 each; the error names the flag with its value, the position and what is allowed",
        refusals(&cases)
    );
}

#[test]
fn help_and_manual_have_the_flags_of_the_mesh() {
    let help = run(&["init", "--mesh", "linkerd", "-h"]);
    assert_snapshot!(
        "help-init-linkerd",
        "the short names, long names and defaults of linkerd2-proxy-init",
        help
    );
    let folder = tempfile::tempdir().unwrap();
    run(&["man", "--dir", folder.path().to_str().unwrap()]).result();
    let page = fs::read_to_string(folder.path().join("mesh-cnictl-init-linkerd.1")).unwrap();
    assert!(page.contains("incoming\\-proxy\\-port"), "{page}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).result();
        assert!(script.contains("incoming-proxy-port"), "{shell}");
    }
}
