//! `init` in its own namespace: creates, keeps, replaces and removes rules.

use std::process::Command;

use serde_json::{Value, json};

use crate::machine::exclusive;
use crate::schema;
use crate::scratch::Scratch;

const ALL: [&str; 4] = ["-i", "*", "-b", "*"];

#[test]
fn rules_are_created_kept_replaced_and_removed() {
    let _lock = exclusive();
    for (binary, backend) in [("nft", "iptables-nft"), ("legacy", "iptables-legacy")] {
        let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
        let chosen = [&ALL[..], &["--force-iptables-binary", binary]].concat();
        let changed = [&chosen[..], &["-d", "22"]].concat();
        let result = |change: &str| format!("IPv4 rules {change} by {backend}\n");
        assert_eq!(scratch.done(&chosen), result("created"));
        assert_eq!(scratch.done(&chosen), result("unchanged"));
        let json = |flags: &[&str]| {
            let text = scratch.done(&[flags, &["--output", "json"]].concat());
            let document: Value = serde_json::from_str(&text).unwrap();
            schema::assert_valid("init", &document);
            document["changed"].clone()
        };
        let unchanged = json!({"change": "unchanged", "backend": backend, "families": ["IPv4"]});
        assert_eq!(json(&chosen), unchanged);
        assert_eq!(scratch.done(&changed), result("replaced"));
        let save = format!("iptables-{binary}-save");
        let saved = scratch.inside(&[&save, "-t", "nat"]);
        assert!(
            saved.contains("-A ISTIO_INBOUND -p tcp -m tcp --dport 22 -j RETURN"),
            "{saved}"
        );
        // Rules of iptables-nft are removed over netlink.
        let by = backend.replace("iptables-nft", "netlink");
        let removed = format!("rules removed by {by}\n");
        assert!(
            scratch
                .done(&["--cleanup-only", "--dry-run"])
                .contains("-X ISTIO_OUTPUT")
        );
        assert_eq!(scratch.done(&["--cleanup-only"]), removed);
        assert_eq!(scratch.done(&["--cleanup-only"]), "");
        let saved = scratch.inside(&[&save, "-t", "nat"]);
        assert!(!saved.contains("ISTIO"), "{saved}");
    }
}

#[test]
fn ipv6_ranges_without_ipv6_rules_are_a_warning_or_an_error_if_no_range_is_left() {
    let _lock = exclusive();
    let four = Scratch::with_addresses(&["10.9.9.9/32"]);
    let both = Scratch::with_addresses(&["fd09::9/128", "10.9.9.9/32"]);
    for flag in ["-i", "-x"] {
        let flags = ["-b", "*", flag, "10.0.0.0/8, fd00::/8", "--dry-run"];
        for flags in [&flags[..], &[&flags[..], &["--dual-stack"]].concat()] {
            let (code, stdout, stderr) = four.init(flags);
            assert_eq!(code, Some(0), "{stderr}");
            assert!(
                stdout.contains("10.0.0.0/8") && !stdout.contains("fd00"),
                "{stdout}"
            );
            let warning =
                "no rule is written for `fd00::/8` at position 13: only IPv4 rules are written";
            assert!(stderr.contains(warning), "{stderr}");
        }
        let (code, _, stderr) = both.init(&[&flags[..], &["--dual-stack"]].concat());
        let warned = stderr.contains("no rule is written");
        assert_eq!((code, warned), (Some(0), false), "{stderr}");
    }
    for dry in ["--dry-run", "--dry-run=false"] {
        let (code, stdout, stderr) = four.init(&["-b", "*", "-i", "fd00::/8", dry]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let error = "`fd00::/8` at position 1 is not an IPv4 range: only IPv4 rules are written";
        assert!(stderr.contains(error), "{stderr}");
    }
    assert_eq!(four.inside(&["nft", "list", "ruleset"]), "");
}

#[test]
fn ranges_of_ports_are_those_of_iptables() {
    let _lock = exclusive();
    let ranges = ["10000:20000", ":1024", "1024:", "80:80", "0:0", ":"];
    for suffix in ["nft", "legacy"] {
        let iptables = format!("iptables-{suffix}");
        // What istio-iptables runs for each item of a list.
        let theirs = Scratch::new();
        theirs.inside(&[&iptables, "-t", "nat", "-N", "ISTIO_OUTPUT"]);
        for ports in ranges {
            let rule = [
                "-A",
                "ISTIO_OUTPUT",
                "-p",
                "tcp",
                "--dport",
                ports,
                "-j",
                "RETURN",
            ];
            theirs.inside(&[&[iptables.as_str(), "-t", "nat"], &rule[..]].concat());
        }
        let ours = Scratch::with_addresses(&["10.9.9.9/32"]);
        let list = ranges.join(",");
        let flags = ["-o", &list, "--force-iptables-binary", suffix];
        ours.done(&flags);
        let returns = |scratch: &Scratch| {
            let saved = scratch.inside(&[&format!("{iptables}-save"), "-t", "nat"]);
            let excluded = |line: &&str| line.starts_with("-A ISTIO_OUTPUT -p tcp");
            let lines: Vec<_> = saved.lines().filter(excluded).map(str::to_owned).collect();
            lines
        };
        assert_eq!(returns(&ours), returns(&theirs), "{suffix}");
        assert_eq!(returns(&ours).len(), ranges.len(), "{suffix}");
        assert_eq!(
            ours.done(&flags),
            format!("IPv4 rules unchanged by {iptables}\n")
        );
        for ports in ["20000:10000", "1:2:3", "1:65536"] {
            let ended = Command::new(&iptables)
                .args(["-t", "nat", "-C", "OUTPUT", "-p", "tcp", "--dport", ports])
                .output()
                .unwrap();
            assert_eq!(ended.status.code(), Some(2), "iptables refuses {ports}");
            let (code, _, stderr) = ours.init(&["-o", ports]);
            assert_eq!(code, Some(2), "{stderr}");
            assert!(stderr.contains("is not a"), "{stderr}");
        }
    }
}

#[test]
fn native_rules_need_no_iptables() {
    let _lock = exclusive();
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    let native = [&ALL[..], &["--native-nftables"]].concat();
    let done = scratch.done(&native);
    assert_eq!(done, "IPv4 rules created by nft-native\n");
    let ruleset = scratch.inside(&["nft", "list", "ruleset"]);
    assert!(ruleset.starts_with("table ip mesh-cni-nat {"), "{ruleset}");
    assert_eq!(
        scratch.done(&["--cleanup-only"]),
        "rules removed by netlink\n"
    );
    assert_eq!(scratch.inside(&["nft", "list", "ruleset"]), "");
}

#[test]
fn ipv6_follows_the_addresses_of_the_namespace() {
    let _lock = exclusive();
    let both = Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"]);
    let transactions = |text: &str| text.matches("COMMIT\n").count();
    let dry = [&ALL[..], &["--dry-run"]].concat();
    assert_eq!(transactions(&both.done(&dry)), 1);
    let dual = [&ALL[..], &["--dual-stack"]].concat();
    let dry_dual = [&dual[..], &["--dry-run"]].concat();
    let text = both.done(&dry_dual);
    assert_eq!(transactions(&text), 2);
    assert!(text.find("127.0.0.6/32") < text.find("::6/128"), "{text}");
    let done = both.done(&dual);
    assert!(
        done.starts_with("IPv4 and IPv6 rules created by "),
        "{done}"
    );

    let six = Scratch::with_addresses(&["fd09::9/128"]);
    assert_eq!(transactions(&six.done(&dry)), 2);
}

#[test]
fn a_namespace_without_an_address_is_an_error() {
    let _lock = exclusive();
    let bare = Scratch::with_addresses(&["169.254.0.1/32"]);
    let (code, stdout, stderr) = bare.init(&ALL);
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(
        stderr.starts_with("error: the namespace has only loopback and link-local"),
        "{stderr}"
    );
    // A dry run prints IPv4 rules, with a warning.
    let (code, stdout, stderr) = bare.init(&["-n"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("*nat\n"), "{stdout}");
    assert!(
        stderr.starts_with("warning: the namespace has only loopback and link-local"),
        "{stderr}"
    );
}

#[test]
fn the_capabilities_of_an_init_container_are_enough() {
    let _lock = exclusive();
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    let limited = ["setpriv", "--bounding-set=-all,+net_admin,+net_raw"];
    let program = env!("CARGO_BIN_EXE_mesh-cnictl");
    let done = scratch.inside(&[&limited[..], &[program, "init"], &ALL].concat());
    assert_eq!(done, "IPv4 rules created by netlink\n");
}
