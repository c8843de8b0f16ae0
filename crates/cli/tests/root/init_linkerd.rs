//! `init --mesh linkerd` in a network namespace of its own.

use crate::machine::exclusive;
use crate::scratch::Scratch;

/// What Linkerd's injector passes to linkerd-init.
const INJECTED: [&str; 10] = [
    "-p",
    "4143",
    "-o",
    "4140",
    "-u",
    "2102",
    "--inbound-ports-to-ignore",
    "4190,4191,4567,4568",
    "--outbound-ports-to-ignore",
    "4567,4568",
];

/// What `iptables-nft-save` prints after linkerd2-proxy-init with the same flags, without comments.
const SAVED: &str = "\
-A PREROUTING -j PROXY_INIT_REDIRECT
-A OUTPUT -j PROXY_INIT_OUTPUT
-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN
-A PROXY_INIT_OUTPUT -o lo -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 4567,4568 -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -j REDIRECT --to-ports 4140
-A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4190,4191,4567,4568 -j RETURN
-A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-ports 4143
";

fn done(scratch: &Scratch, flags: &[&str]) -> String {
    let (code, stdout, stderr) = scratch.init_linkerd(flags);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{flags:?}");
    stdout
}

/// The rules of a family, without comments and in the order of their chains.
fn saved(scratch: &Scratch, program: &str) -> String {
    let text = scratch.inside(&[program, "-t", "nat"]);
    let rules = text.lines().filter(|line| line.starts_with("-A"));
    let without_comment = |rule: &str| {
        let (before, rest) = rule.split_once(" -m comment --comment ").unwrap();
        let (_, after) = rest.split_once(" -j ").unwrap();
        [before, " -j ", after, "\n"].concat()
    };
    rules.map(without_comment).collect()
}

#[test]
fn rules_are_created_kept_replaced_and_removed() {
    let _lock = exclusive();
    for (mode, programs, backend, remover) in [
        (
            "nft",
            ["iptables-nft-save", "ip6tables-nft-save"],
            "netlink",
            "netlink",
        ),
        (
            "legacy",
            ["iptables-legacy-save", "ip6tables-legacy-save"],
            "iptables-legacy",
            "iptables-legacy",
        ),
    ] {
        // Without an address: the flags alone decide about the families.
        let scratch = Scratch::new();
        let flags = [&INJECTED[..], &["--iptables-mode", mode]].concat();
        let result = |change: &str| format!("IPv4 and IPv6 rules {change} by {backend}\n");
        assert_eq!(done(&scratch, &flags), result("created"));
        assert_eq!(done(&scratch, &flags), result("unchanged"));
        for program in programs {
            assert_eq!(saved(&scratch, program), SAVED, "{program}");
        }
        let ipv4 = [&flags[..], &["--ipv6=false", "-r", "8080"]].concat();
        let replaced = format!("IPv4 rules replaced by {backend}\n");
        assert_eq!(done(&scratch, &ipv4), replaced);
        assert_eq!(saved(&scratch, programs[1]), "");
        let dry = done(&scratch, &["--cleanup-only", "--simulate"]);
        assert!(dry.contains("-X PROXY_INIT_OUTPUT"), "{dry}");
        let removed = format!("rules removed by {remover}\n");
        assert_eq!(done(&scratch, &["--cleanup-only"]), removed);
        assert_eq!(done(&scratch, &["--cleanup-only"]), "");
        assert_eq!(saved(&scratch, programs[0]), "");
    }
}

#[test]
fn rules_of_another_mesh_are_not_touched() {
    let _lock = exclusive();
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    scratch.done(&["-i", "*", "-b", "*"]);
    let of_istio = |scratch: &Scratch| {
        let text = scratch.inside(&["iptables-nft-save", "-t", "nat"]);
        let lines = text.lines().filter(|line| line.contains("ISTIO"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = of_istio(&scratch);
    assert!(!before.is_empty());
    done(&scratch, &INJECTED);
    assert_eq!(of_istio(&scratch), before);
    scratch.done(&["--cleanup-only"]);
    assert_eq!(saved(&scratch, "iptables-nft-save"), SAVED);
}

#[test]
fn the_timeout_of_conntrack_is_that_of_the_namespace() {
    const TIMEOUT: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";
    let _lock = exclusive();
    let scratch = Scratch::new();
    // The rules load conntrack, whose settings exist then.
    done(&scratch, &INJECTED);
    let machine = std::fs::read_to_string(TIMEOUT).unwrap();
    let flags = [&INJECTED[..], &["--timeout-close-wait-secs", "3601"]].concat();
    done(&scratch, &flags);
    assert_eq!(scratch.inside(&["cat", TIMEOUT]), "3601\n");
    assert_eq!(std::fs::read_to_string(TIMEOUT).unwrap(), machine);
    let huge = [&INJECTED[..], &["--timeout-close-wait-secs", "4294967295"]].concat();
    let (code, stdout, stderr) = scratch.init_linkerd(&huge);
    assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
    assert!(
        stderr.contains("cannot write `4294967295` to /proc/sys/net"),
        "{stderr}"
    );
}
