//! Packets of local processes: the outbound chain.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, Match, Rule, RuleSet, Sense, TableName, Target};

use super::{Dialect, dns};
use crate::chains::{OUTPUT, PREROUTING};
use crate::conventions::inbound_passthrough;
use crate::istio::chains::{IN_REDIRECT, OUTPUT_RULES, REDIRECT};
use crate::istio::interception::{Interception, OutboundRanges, OwnerGroups};
use crate::shorthand::{
    arrives_through, by_group, by_user, from, not_to, not_to_port, over_loopback, tcp, to, to_port,
    udp,
};

const NAT: TableName = TableName::Nat;

fn append(rules: &mut RuleSet, matches: impl Into<Vec<Match>>, target: Target) {
    rules.append(NAT, OUTPUT_RULES, Rule::new(matches, target));
}

/// Steps 6 and 7: the jump to the chain, and the excluded ports.
pub(super) fn enter(interception: &Interception, dialect: Dialect, rules: &mut RuleSet) {
    let jump = || Target::Jump(OUTPUT_RULES);
    match dialect {
        Dialect::Asm => {
            rules.append(NAT, OUTPUT, Rule::new([tcp()], jump()));
            if dns::captures_family(interception, rules.family) {
                // The documented dump jumps only for TCP, but queries over UDP need a jump too.
                let queries = [udp(), to_port(dns::QUERIES)];
                rules.append(NAT, OUTPUT, Rule::new(queries, jump()));
            }
        }
        Dialect::Istio => rules.append(NAT, OUTPUT, Rule::new([], jump())),
    }
    for port in &interception.exclude_outbound_ports {
        append(rules, [tcp(), to_port(*port)], Target::Return);
        match dialect {
            Dialect::Asm => {}
            Dialect::Istio => append(rules, [udp(), to_port(*port)], Target::Return),
        }
    }
}

/// Steps 8 to 11: the traffic of the proxy to the application, to the pod's own address (which is
/// inbound again), and to other pods; then the groups whose traffic is not captured.
pub(super) fn exclude_proxy(interception: &Interception, dialect: Dialect, rules: &mut RuleSet) {
    let passthrough = from(inbound_passthrough(rules.family));
    append(rules, [over_loopback(), passthrough], Target::Return);

    for user in interception.proxy_uids.iter().copied() {
        let to_itself = tcp_to_itself(interception, dialect, OwnerKind::User);
        exclude_owner(interception, rules, to_itself, |sense| by_user(sense, user));
    }
    for group in interception.proxy_gids.iter().copied() {
        let to_itself = tcp_to_itself(interception, dialect, OwnerKind::Group);
        exclude_owner(interception, rules, to_itself, |sense| {
            by_group(sense, group)
        });
    }
    exclude_groups(interception, rules);
}

#[derive(Clone, Copy)]
enum OwnerKind {
    User,
    Group,
}

/// Additional conditions on the proxy's connections to the pod's own address: not to the tunnel
/// port and, if DNS is captured, not to the DNS port.
fn tcp_to_itself(interception: &Interception, dialect: Dialect, owner: OwnerKind) -> Vec<Match> {
    let tunnel = interception.tunnel_port;
    match (dialect, dns::captures(interception), owner) {
        (Dialect::Asm, false, _) => vec![],
        (Dialect::Asm, true, _) => vec![tcp(), not_to_port(dns::QUERIES)],
        (Dialect::Istio, true, OwnerKind::User) => {
            let ports = vec![dns::QUERIES.into(), tunnel.into()];
            vec![tcp(), Match::DestinationPorts(Sense::IsNot, ports)]
        }
        (Dialect::Istio, ..) => vec![tcp(), not_to_port(tunnel)],
    }
}

fn exclude_owner(
    interception: &Interception,
    rules: &mut RuleSet,
    to_itself: Vec<Match>,
    owner: impl Fn(Sense) -> Match,
) {
    let mut inbound_again = vec![over_loopback(), not_to(interception.loopback(rules.family))];
    inbound_again.extend(to_itself);
    inbound_again.push(owner(Sense::Is));
    append(rules, inbound_again, Target::Jump(IN_REDIRECT));

    if !captures_loopback(interception) {
        let mut by_others = vec![over_loopback()];
        if dns::captures(interception) {
            by_others.extend([tcp(), not_to_port(dns::QUERIES)]);
        }
        by_others.push(owner(Sense::IsNot));
        append(rules, by_others, Target::Return);
    }
    append(rules, [owner(Sense::Is)], Target::Return);
}

/// Whether the application's connections to loopback addresses are captured too.
fn captures_loopback(interception: &Interception) -> bool {
    match &interception.outbound_ranges {
        OutboundRanges::All => false,
        OutboundRanges::Only(ranges) => ranges.iter().any(|range| range.ip().is_loopback()),
    }
}

fn exclude_groups(interception: &Interception, rules: &mut RuleSet) {
    match &interception.owner_groups {
        OwnerGroups::All => {}
        OwnerGroups::Except(groups) => {
            for group in groups {
                append(rules, [by_group(Sense::Is, *group)], Target::Return);
            }
        }
        OwnerGroups::Only(groups) => {
            let in_none: Vec<_> = groups
                .iter()
                .map(|group| by_group(Sense::IsNot, *group))
                .collect();
            append(rules, in_none, Target::Return);
        }
    }
}

/// Steps 13 to 16: excluded ranges, and captured ports and ranges.
pub(super) fn capture(interception: &Interception, rules: &mut RuleSet) {
    exclude_ranges(interception, rules);
    capture_ports(interception, rules);
    capture_ranges(interception, rules);
}

fn exclude_ranges(interception: &Interception, rules: &mut RuleSet) {
    let loopback = interception.loopback(rules.family);
    append(rules, [to(loopback)], Target::Return);
    for range in of_family(&interception.exclude_outbound_ranges, rules.family) {
        append(rules, [to(range)], Target::Return);
    }
}

fn capture_ports(interception: &Interception, rules: &mut RuleSet) {
    for port in &interception.outbound_ports {
        append(rules, [tcp(), to_port(*port)], Target::Jump(REDIRECT));
    }
}

fn capture_ranges(interception: &Interception, rules: &mut RuleSet) {
    let reroute = |rules: &mut RuleSet, destination: &[Match]| {
        for interface in &interception.reroute_interfaces {
            let mut matches = vec![arrives_through(interface)];
            matches.extend_from_slice(destination);
            let rule = Rule::new(matches, Target::Jump(REDIRECT));
            rules.insert(NAT, PREROUTING, 1, rule);
        }
    };
    match &interception.outbound_ranges {
        OutboundRanges::All => {
            append(rules, [], Target::Jump(REDIRECT));
            reroute(rules, &[]);
        }
        OutboundRanges::Only(ranges) => {
            for range in of_family(ranges, rules.family) {
                reroute(rules, &[to(range)]);
                append(rules, [to(range)], Target::Jump(REDIRECT));
            }
        }
    }
}

fn of_family(ranges: &[IpNetwork], family: Family) -> impl Iterator<Item = IpNetwork> {
    ranges
        .iter()
        .copied()
        .filter(move |range| Family::of(range) == family)
}
