//! What happens to packets that a process in the pod sends: the outbound chain.

use ipnetwork::IpNetwork;

use super::Dialect;
use super::shorthand::{
    by_group, by_user, comes_in, from, not_to, not_to_port, over_loopback, tcp, to, to_port, udp,
};
use crate::chains::{IN_REDIRECT, OUTPUT, OUTPUT_RULES, PREROUTING, REDIRECT};
use crate::interception::{Interception, OutboundRanges, OwnerGroups};
use crate::ruleset::{Family, Match, Rule, RuleSet, Sense, TableName, Target};

const NAT: TableName = TableName::Nat;

/// Steps 6 to 16 of the contract.
pub(super) fn compile(interception: &Interception, dialect: Dialect, rules: &mut RuleSet) {
    enter(dialect, rules);
    exclude_ports(interception, dialect, rules);
    pass_proxy_through(interception, dialect, rules);
    exclude_groups(interception, rules);
    exclude_ranges(interception, rules);
    capture_ports(interception, rules);
    capture_ranges(interception, rules);
}

fn append(rules: &mut RuleSet, matches: impl Into<Vec<Match>>, target: Target) {
    rules.append(NAT, OUTPUT_RULES, Rule::new(matches, target));
}

fn enter(dialect: Dialect, rules: &mut RuleSet) {
    let matches = match dialect {
        Dialect::Asm => vec![tcp()],
        Dialect::Istio => vec![],
    };
    rules.append(NAT, OUTPUT, Rule::new(matches, Target::Jump(OUTPUT_RULES)));
}

fn exclude_ports(interception: &Interception, dialect: Dialect, rules: &mut RuleSet) {
    for port in &interception.exclude_outbound_ports {
        append(rules, [tcp(), to_port(*port)], Target::Return);
        match dialect {
            Dialect::Asm => {}
            Dialect::Istio => append(rules, [udp(), to_port(*port)], Target::Return),
        }
    }
}

/// The proxy's own traffic: what it passes on to the application, what it sends to the pod's own
/// address (which is inbound again), and what it sends out.
fn pass_proxy_through(interception: &Interception, dialect: Dialect, rules: &mut RuleSet) {
    let passthrough = from(rules.family.inbound_passthrough());
    append(rules, [over_loopback(), passthrough], Target::Return);

    let users = interception.proxy_uids.iter().copied();
    for user in users {
        pass_owner_through(interception, dialect, rules, |sense| by_user(sense, user));
    }
    let groups = interception.proxy_gids.iter().copied();
    for group in groups {
        pass_owner_through(interception, dialect, rules, |sense| by_group(sense, group));
    }
}

fn pass_owner_through(
    interception: &Interception,
    dialect: Dialect,
    rules: &mut RuleSet,
    owner: impl Fn(Sense) -> Match,
) {
    let mut to_itself = vec![over_loopback(), not_to(interception.loopback(rules.family))];
    match dialect {
        Dialect::Asm => {}
        Dialect::Istio => to_itself.extend([tcp(), not_to_port(interception.tunnel_port)]),
    }
    to_itself.push(owner(Sense::Is));
    append(rules, to_itself, Target::Jump(IN_REDIRECT));

    if !captures_loopback(interception) {
        let by_others = [over_loopback(), owner(Sense::IsNot)];
        append(rules, by_others, Target::Return);
    }
    append(rules, [owner(Sense::Is)], Target::Return);
}

/// Whether the application's connections to loopback addresses are to be captured too.
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
            let none_of: Vec<_> = groups
                .iter()
                .map(|group| by_group(Sense::IsNot, *group))
                .collect();
            append(rules, none_of, Target::Return);
        }
    }
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
            let mut matches = vec![comes_in(interface)];
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
    let ranges = ranges.iter().copied();
    ranges.filter(move |range| Family::of(range) == family)
}
