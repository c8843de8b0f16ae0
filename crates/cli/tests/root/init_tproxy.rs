//! `init -m TPROXY`: applies and removes rules and policy routing, and keeps those of others.

use crate::machine::exclusive;
use crate::scratch::Scratch;

const EVERYTHING: [&str; 10] = [
    "-m",
    "TPROXY",
    "-i",
    "*",
    "-b",
    "*",
    "--dual-stack",
    "--drop-invalid",
    "--redirect-dns",
    "--capture-all-dns",
];

fn scratch() -> Scratch {
    Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"])
}

/// The output of `ip` for both families.
fn routing(scratch: &Scratch, table: &str) -> String {
    let mut text = String::new();
    for family in ["-4", "-6"] {
        text.push_str(&scratch.inside(&["ip", family, "rule", "show"]));
        let routes = ["ip", family, "route", "show", "table", table];
        text.push_str(&scratch.inside(&routes));
    }
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join("\n") + "\n"
}

/// Every rule of both families, without dates and counters.
fn rules(scratch: &Scratch, flavour: &str) -> String {
    let mut text = String::new();
    for program in ["iptables", "ip6tables"] {
        let saved = scratch.inside(&[&format!("{program}-{flavour}-save")]);
        for line in saved.lines().filter(|line| !line.starts_with('#')) {
            text.push_str(line.split(" [").next().unwrap());
            text.push('\n');
        }
    }
    text
}

/// Adds rules and routing of others, in every table that we use.
fn add_foreign(scratch: &Scratch, flavour: &str) {
    for program in ["iptables", "ip6tables"] {
        let program = format!("{program}-{flavour}");
        for table in ["nat", "mangle", "raw"] {
            for rule in [
                "-N OTHERS",
                "-A OTHERS -p udp --dport 99 -j RETURN",
                "-A OUTPUT -j OTHERS",
                "-A PREROUTING -p tcp --dport 99 -j ACCEPT",
            ] {
                let words = ["-t", table].into_iter().chain(rule.split(' '));
                let words: Vec<_> = [program.as_str()].into_iter().chain(words).collect();
                scratch.inside(&words);
            }
        }
    }
    for family in ["-4", "-6"] {
        let rule = ["ip", family, "rule", "add", "fwmark", "5", "lookup", "50"];
        scratch.inside(&rule);
        let route = "route add local default dev lo table 50".split(' ');
        let words: Vec<_> = ["ip", family].into_iter().chain(route).collect();
        scratch.inside(&words);
    }
}

#[test]
fn policy_routing_is_applied_and_replaced_with_the_rules() {
    let _lock = exclusive();
    let scratch = scratch();
    let done = scratch.done(&EVERYTHING);
    assert!(
        done.starts_with("IPv4 and IPv6 rules created by "),
        "{done}"
    );
    insta::assert_snapshot!(routing(&scratch, "133"), @"
    0:	from all lookup local
    32765:	from all fwmark 0x539 lookup 133 proto boot
    32766:	from all lookup main
    32767:	from all lookup default
    local default dev lo scope host
    0:	from all lookup local
    32765:	from all fwmark 0x539 lookup 133 proto boot
    32766:	from all lookup main
    local default dev lo metric 1024 pref medium
    ");
    let own = ["-t", "77", "-r", "78"];
    let flags = [&EVERYTHING[..], &own].concat();
    let done = scratch.done(&flags);
    assert!(
        done.starts_with("IPv4 and IPv6 rules replaced by "),
        "{done}"
    );
    let moved = routing(&scratch, "78");
    assert_eq!(moved.matches("fwmark 0x4d lookup 78").count(), 2, "{moved}");
    assert_eq!(moved.matches("local default dev lo").count(), 2, "{moved}");
    assert!(!moved.contains("fwmark 0x539"), "{moved}");
    assert!(scratch.done(&flags).contains("rules unchanged"));
}

#[test]
fn a_cleanup_keeps_rules_and_routing_of_others() {
    let _lock = exclusive();
    for flavour in ["nft", "legacy"] {
        let scratch = scratch();
        add_foreign(&scratch, flavour);
        let both = || (rules(&scratch, flavour), routing(&scratch, "50"));
        let before = both();
        assert_eq!(before.0.matches("-A OUTPUT -j OTHERS").count(), 6);
        let chosen = [&EVERYTHING[..], &["--force-iptables-binary", flavour]].concat();
        scratch.done(&chosen);
        let during = both();
        assert!(during.0.contains("ISTIO_TPROXY"), "{}", during.0);
        assert!(during.1.contains("fwmark 0x539 lookup 133"), "{}", during.1);

        let (code, printed, notes) = scratch.init(&["--cleanup-only", "--dry-run"]);
        assert_eq!(code, Some(0));
        assert!(printed.contains("-X ISTIO_TPROXY"), "{printed}");
        assert_eq!(
            notes,
            "note: IPv4 also removes policy routing: packets with mark 1337 use table 133, which \
             has `local default dev lo`\n\
             note: IPv6 also removes policy routing: packets with mark 1337 use table 133, which \
             has `local default dev lo`\n"
        );
        assert_eq!(both(), during);

        scratch.done(&["--cleanup-only"]);
        assert_eq!(both(), before, "{flavour}");
        assert_eq!(
            scratch
                .inside(&["ip", "route", "show", "table", "all"])
                .matches("133")
                .count(),
            0
        );
    }
}
