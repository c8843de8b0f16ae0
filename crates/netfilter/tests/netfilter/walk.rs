//! The walk: marks, zones, passes, policies, and rules that the kernel would refuse.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use mesh_cni_netfilter::walk::{Event, NatSkip, Pass, PolicyCounters, WithPortNames};
use mesh_cni_netfilter::{
    Family, InterfaceName, NetnsAddresses, Outcome, Packet, PortNames, RuleSet, TableName, Walk,
    walk_in,
};

use crate::support::{assert_snapshot, pod, saved};

fn walk(rules: &RuleSet, packet: &str) -> Walk {
    walk_in(rules, &packet.parse().unwrap(), &pod())
}

fn outcome(walk: &Walk) -> WithPortNames<'_, Outcome> {
    walk.outcome.display(PortNames::default())
}

/// The rules that counted the packet, `TABLE CHAIN NUMBER` each.
fn counted(walk: &Walk) -> Vec<String> {
    let counted = walk.counted().into_iter();
    let rules = counted.filter_map(|counted| {
        let number = counted.rule?;
        Some(format!("{} {} {number}", counted.table, counted.chain))
    });
    rules.collect()
}

/// `tests/kernel/walk.rs` checks similar rules against the kernel.
const SECOND_PASS: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n\
    :OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
    -A PREROUTING -p tcp -m tcp --dport 15001 -j REDIRECT --to-ports 15006\n\
    -A PREROUTING -p tcp -j RETURN\n-A INPUT -p tcp -j RETURN\n\
    -A OUTPUT -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001\n\
    -A POSTROUTING -o lo -p tcp -j RETURN\nCOMMIT\n\
    *filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i lo -p tcp -j RETURN\n-A OUTPUT -o eth0 -p tcp -m tcp --dport 15001 -j RETURN\n\
    COMMIT\n\
    *mangle\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
    -A PREROUTING -i lo -p tcp -m mark --mark 0x7 -j RETURN\n\
    -A OUTPUT -p tcp -j MARK --set-xmark 0x7/0xffffffff\n\
    -A POSTROUTING -o lo -p tcp -m owner --uid-owner 0 -j RETURN\nCOMMIT\n\
    *raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A PREROUTING -p tcp -m conntrack --ctstate NEW -j RETURN\n\
    -A OUTPUT -p tcp -m connmark ! --mark 0x9 -j RETURN\n\
    -A OUTPUT -p tcp -m conntrack --ctstate INVALID -j RETURN\nCOMMIT\n";

#[test]
fn the_second_pass_skips_only_nat() {
    let rules = saved(SECOND_PASS);
    let redirected = walk(&rules, "out tcp 10.0.0.7:80 uid 0");
    assert_eq!(
        counted(&redirected),
        [
            "raw OUTPUT 2",
            "mangle OUTPUT 1",
            "nat OUTPUT 1",
            "filter OUTPUT 1",
            "mangle POSTROUTING 1",
            "nat POSTROUTING 1",
            "raw PREROUTING 1",
            "mangle PREROUTING 1",
            "filter INPUT 1",
        ]
    );
    for (packet, port) in [("10.0.0.7:80", 15001), ("127.0.0.1:15001", 15001)] {
        let walk = walk(&rules, &format!("out tcp {packet} uid 0"));
        assert!(
            walk.outcome
                .display(PortNames::default())
                .to_string()
                .contains(&port.to_string()),
            "{walk:?}"
        );
        let skipped: Vec<_> = walk
            .steps
            .iter()
            .filter(|step| step.pass == Pass::Loopback && step.table == TableName::Nat)
            .map(|step| (step.chain.as_str(), &step.event))
            .collect();
        let settled = Event::NatSkipped(NatSkip::DecidedOnFirstPass);
        assert_eq!(skipped, [("PREROUTING", &settled), ("INPUT", &settled)]);
    }
    // The same port is redirected when the packet comes from outside.
    let inbound = walk(&rules, "in tcp 10.244.1.17:15001 from 10.0.0.9");
    assert!(
        outcome(&inbound).to_string().contains("15006"),
        "{inbound:?}"
    );
}

#[test]
fn a_redirect_at_arrival_goes_to_the_interface_s_primary_address() {
    let rules = saved(
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j REDIRECT --to-ports 1234\nCOMMIT\n",
    );
    let host = NetnsAddresses::new().with_interface(
        "net1".parse::<InterfaceName>().unwrap(),
        vec![
            "10.1.0.2/24".parse().unwrap(),
            "10.1.0.22/24".parse().unwrap(),
        ],
    );
    let packet = "in tcp 10.1.0.22:80 from 10.1.0.9"
        .parse::<Packet>()
        .unwrap();
    let redirected = walk_in(&rules, &packet, &host);
    assert_eq!(
        redirected.translated,
        Some("10.1.0.2:1234".parse().unwrap())
    );
    assert_eq!(
        outcome(&redirected).to_string(),
        "goes to port 1234, original destination 10.1.0.22:80"
    );
    let elsewhere = "in tcp 10.1.0.22:80 from 10.1.0.9 iface eth9"
        .parse::<Packet>()
        .unwrap();
    assert_eq!(
        outcome(&walk_in(&rules, &elsewhere, &host)).to_string(),
        "cannot be followed past rule 1 of nat PREROUTING: the address of eth9 is unknown"
    );
}

#[test]
fn the_first_zone_wins_on_both_passes() {
    let rules = saved(
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A PREROUTING -i lo -p udp -j CT --zone 3\n-A OUTPUT -p udp -j CT --zone 1\n\
         -A OUTPUT -p udp -j CT --zone 2\nCOMMIT\n",
    );
    let local = walk(&rules, "out udp 127.0.0.1:53 uid 0");
    assert_eq!(local.zone, 1);
    assert_eq!(
        counted(&local),
        ["raw OUTPUT 1", "raw OUTPUT 2", "raw PREROUTING 1"]
    );
    assert_eq!(
        walk(&rules, "in udp 10.244.1.17:53 from 10.0.0.9 iface lo").zone,
        3
    );
}

#[test]
fn marks_are_written_as_the_kernel_writes_them() {
    let rules = saved(
        "*mangle\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A PREROUTING -i lo -m connmark --mark 0x6 -j CONNMARK --restore-mark\n\
         -A OUTPUT -j MARK --set-xmark 0x6/0x3\n-A OUTPUT -m mark --mark 0x6 -j CONNMARK --save-mark\n\
         -A OUTPUT -j MARK --set-xmark 0x0/0xffffffff\nCOMMIT\n",
    );
    let walked = walk(&rules, "out tcp 127.0.0.1:80 uid 0");
    assert_eq!((walked.mark, walked.connmark), (6, 6), "{walked:?}");
    let invalid = walk(&rules, "out tcp 127.0.0.1:80 uid 0 state invalid");
    assert_eq!((invalid.mark, invalid.connmark), (0, 0), "{invalid:?}");
}

#[test]
fn without_an_owner_only_a_negation_matches() {
    let rules = saved(
        "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m owner --uid-owner 0 -j ACCEPT\n\
         -A OUTPUT -m owner ! --uid-owner 0 -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(
        counted(&walk(&rules, "out tcp 10.0.0.7:80")),
        ["nat OUTPUT 2"]
    );
    let after_lo = saved(
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m owner --uid-owner 0 -j DROP\n\
         -A INPUT -m owner ! --uid-owner 0 -j ACCEPT\nCOMMIT\n",
    );
    let local = walk(&after_lo, "out tcp 127.0.0.1:80 uid 0");
    assert_eq!(counted(&local), ["filter INPUT 2"]);
}

#[test]
fn a_plus_matches_interfaces_by_prefix() {
    let rules = saved(
        "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -o eth+ -j DROP\n-A OUTPUT -i + -j DROP\nCOMMIT\n",
    );
    let (out, local) = ("out udp 10.0.0.7:80", "out udp 127.0.0.1:80");
    assert_eq!(counted(&walk(&rules, out)), ["filter OUTPUT 1"]);
    assert_eq!(counted(&walk(&rules, local)), ["filter OUTPUT 2"]);
}

#[test]
fn policies_drop_and_chains_return() {
    let rules = saved(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:CALLED - [0:0]\n\
         -A INPUT -p tcp -j CALLED\n-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n\
         -A CALLED -p tcp -m tcp --dport 81 -j RETURN\n-A CALLED -m conntrack --ctstate INVALID -j DROP\n\
         COMMIT\n",
    );
    let ends = [
        "in tcp 10.244.1.17:443 from 10.0.0.9",
        "in tcp 10.244.1.17:81 from 10.0.0.9",
        "in tcp 10.244.1.17:443 from 10.0.0.9 state invalid",
        "in udp 10.3.3.3:53 from 10.0.0.9",
    ]
    .map(|packet| outcome(&walk(&rules, packet)).to_string());
    insta::assert_snapshot!(ends.join("\n"), @"
    is delivered locally to 10.244.1.17:443, not redirected
    is dropped by the policy of filter INPUT
    is dropped by rule 2 of filter CALLED
    is dropped by the policy of filter FORWARD
    ");
}

#[test]
fn unknown_rules_end_the_walk() {
    let table = |rules: &str| {
        saved(&format!(
            "*nat\n:OUTPUT ACCEPT [0:0]\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n\
             :A - [0:0]\n:B - [0:0]\n{rules}COMMIT\n"
        ))
    };
    let mut missing = table("-A OUTPUT -j A\n");
    let nat = missing.table_mut(TableName::Nat);
    nat.chains.retain(|chain| chain.name.as_str() != "A");
    let doubling = |depth: usize| {
        let chains = (0..depth).map(|chain| format!(":C{chain} - [0:0]\n"));
        let jumps = (1..depth).map(|chain| {
            let jump = format!("-A C{} -j C{chain}\n", chain - 1);
            jump.repeat(2)
        });
        let (chains, jumps): (String, String) = (chains.collect(), jumps.collect());
        saved(&format!(
            "*nat\n:OUTPUT ACCEPT [0:0]\n{chains}-A OUTPUT -j C0\n{jumps}COMMIT\n"
        ))
    };
    let ends = [
        table("-A OUTPUT -m addrtype --dst-type LOCAL -j A\n"),
        table("-A OUTPUT -p tcp -j DNAT --to-destination 10.0.0.1\n"),
        table("-A OUTPUT -j A\n-A A -j B\n-A B -j A\n"),
        table("-A OUTPUT -j OUTPUT\n"),
        table("-A OUTPUT -p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff\n"),
        missing,
        doubling(60),
    ]
    .map(|rules| outcome(&walk(&rules, "out tcp 10.0.0.7:80 uid 0")).to_string());
    assert_snapshot!(
        "walk-undecided",
        "an unknown condition, an unknown target, chains that call each other, a chain that calls \
         itself, TPROXY in a table that refuses it, a missing chain, and chains that would be \
         traversed 2^60 times: each with its rule and the reason",
        ends.join("\n")
    );
}

#[test]
fn rules_that_only_count_or_log_do_not_end_the_walk() {
    let mut rules = saved(
        "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m comment --comment seen\n\
         -A OUTPUT -p tcp -j LOG --log-prefix \"a b\"\n-A OUTPUT -p udp\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 1 -j LOG\n\
         -A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n",
    );
    let walked = walk(&rules, "out tcp 10.0.0.7:80 uid 0");
    assert!(outcome(&walked).to_string().contains("15001"), "{walked:?}");
    // A comment is not a condition.
    assert_eq!(walked.steps[0].rule(), "-p tcp");
    assert_eq!(
        counted(&walked),
        ["nat OUTPUT 1", "nat OUTPUT 2", "nat OUTPUT 5"]
    );
    walked.count(&mut rules, 3, PolicyCounters::On);
    let output = &rules.tables[0].chains[0];
    let counters = output.rules.iter().map(|rule| rule.counters.bytes);
    assert_eq!(counters.collect::<Vec<_>>(), [180, 180, 0, 0, 180]);
    assert_eq!(output.policy.unwrap().counters.packets, 0);
}

#[test]
fn a_namespace_with_only_lo_does_not_loop() {
    let host = NetnsAddresses::new().with_interface(
        "lo".parse::<InterfaceName>().unwrap(),
        vec!["10.9.9.9/24".parse().unwrap()],
    );
    for packet in ["out tcp 192.0.2.10:80", "out tcp 10.9.9.10:80"] {
        let packet = packet.parse::<Packet>().unwrap();
        let walk = walk_in(&RuleSet::new(Family::V4), &packet, &host);
        let end = format!(
            "leaves through eth0 to {}, not redirected",
            packet.destination
        );
        assert_eq!(outcome(&walk).to_string(), end);
    }
}
