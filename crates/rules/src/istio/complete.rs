//! Judges rules whose settings are not known: whether some settings have exactly these rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{
    ChainName, Drift, Family, Gid, InterfaceName, Match, PortRange, Protocol, Rule, RuleSet, Sense,
    TableName, Target, drift,
};

use super::{Dialect, compile};
use crate::chains::{OUTPUT, PREROUTING};
use crate::istio::chains::{
    DROP, IN_REDIRECT, INBOUND, OUTPUT_DNS, OUTPUT_RULES, REDIRECT, TPROXY,
};
use crate::istio::conventions::{OWNERSHIP, TPROXY_ROUTING};
use crate::istio::interception::{
    DnsCapture, InboundCapture, Interception, Mode, OutboundRanges, OwnerGroups, agent_ports,
};

/// The first difference between rules that were found and the rules of the settings that they show;
/// `None` if they are complete.
///
/// A missing rule that a setting could explain is not noticed, such as that of an excluded port.
/// Rules that capture no outbound connection count as incomplete, although settings can ask for
/// them: the one rule that captures all of them may be missing.
pub(crate) fn incomplete(ours: &RuleSet) -> Option<Drift> {
    let (interception, dialect) = shown_by(ours);
    let wanted = compile(&interception, dialect, ours.family);
    drift(&wanted, ours, &OWNERSHIP)
}

/// The interception and the dialect that the rules show.
fn shown_by(found: &RuleSet) -> (Interception, Dialect) {
    let mut shown = Interception::pod_default();
    read_mode(found, &mut shown);
    read_redirects(found, &mut shown);
    read_inbound(found, &mut shown);
    read_outbound(found, &mut shown);
    read_interfaces(found, &mut shown);
    shown.dns = dns(found);
    shown.drop_invalid = found.chain(TableName::Mangle, &DROP).is_some();
    let jumps_for_all = |rule: &Rule| rule.matches.is_empty() && jumps_to(rule, &OUTPUT_RULES);
    let dialect = if nat(found, &OUTPUT).any(jumps_for_all) {
        Dialect::Istio
    } else {
        Dialect::Asm
    };
    (shown, dialect)
}

fn read_mode(found: &RuleSet, shown: &mut Interception) {
    let tproxy = found.chain(TableName::Mangle, &TPROXY);
    shown.mode = match (found.routing, tproxy) {
        (Some(routing), _) => Mode::Tproxy(routing),
        (None, Some(_)) => Mode::Tproxy(TPROXY_ROUTING),
        (None, None) => Mode::Redirect,
    };
}

fn read_redirects(found: &RuleSet, shown: &mut Interception) {
    for (chain, port) in [
        (REDIRECT, &mut shown.outbound_capture_port),
        (IN_REDIRECT, &mut shown.inbound_capture_port),
    ] {
        for rule in nat(found, &chain) {
            if let Target::Redirect(to) = rule.target {
                *port = to;
            }
        }
    }
}

fn read_inbound(found: &RuleSet, shown: &mut Interception) {
    let mut returned = ports(nat(found, &INBOUND), &Target::Return);
    if let Some(tunnel) = returned.next().and_then(PortRange::single) {
        shown.tunnel_port = tunnel;
    }
    let (table, action) = match shown.mode {
        Mode::Redirect => (TableName::Nat, IN_REDIRECT),
        Mode::Tproxy(_) => (TableName::Mangle, TPROXY),
    };
    let mut excluded: Vec<_> = match shown.mode {
        Mode::Redirect => returned.collect(),
        Mode::Tproxy(_) => ports(rules(found, table, &INBOUND), &Target::Return).collect(),
    };
    // Every pod excludes these.
    for port in agent_ports() {
        if !excluded.contains(&port) {
            excluded.push(port);
        }
    }
    let captured = || rules(found, table, &INBOUND).filter(|rule| jumps_to(rule, &action));
    let captures_all = |rule: &Rule| matches!(conditions(rule)[..], [Match::Protocol(..)]);
    shown.inbound = if captured().any(captures_all) {
        InboundCapture::AllExcept(excluded)
    } else {
        InboundCapture::only(ports(captured(), &Target::Jump(action.clone())).collect())
    };
}

fn read_outbound(found: &RuleSet, shown: &mut Interception) {
    let (mut ranges, mut excluded) = (Vec::new(), Vec::new());
    let (mut groups, mut only) = (Vec::new(), None);
    // Programs print no condition for the range of all addresses.
    let anywhere = all_addresses(found.family);
    shown.proxy_uids.clear();
    shown.proxy_gids.clear();
    for rule in nat(found, &OUTPUT_RULES) {
        match (&conditions(rule)[..], &rule.target) {
            ([.., Match::OwnerUid(Sense::Is, user)], Target::Jump(chain))
                if *chain == IN_REDIRECT =>
            {
                shown.proxy_uids.extend(user.single());
            }
            ([.., Match::OwnerGid(Sense::Is, group)], Target::Jump(chain))
                if *chain == IN_REDIRECT =>
            {
                shown.proxy_gids.extend(group.single());
            }
            ([Match::OwnerGid(Sense::Is, group)], Target::Return) => groups.extend(group.single()),
            ([Match::Destination(Sense::Is, range)], Target::Return) => excluded.push(*range),
            ([Match::Destination(Sense::Is, range)], Target::Jump(chain)) if *chain == REDIRECT => {
                ranges.push(*range);
            }
            ([], Target::Jump(chain)) if *chain == REDIRECT => ranges.push(anywhere),
            ([], Target::Return) => excluded.push(anywhere),
            (all, Target::Return) => only = only.or(in_none_of(all)),
            _ => {}
        }
    }
    let mut excluded = excluded.into_iter();
    if let Some(loopback @ IpNetwork::V4(_)) = excluded.next() {
        shown.ipv4_loopback = loopback;
    }
    shown.exclude_outbound_ranges = excluded.collect();
    for of_proxy in &shown.proxy_gids {
        let position = groups.iter().position(|group| group == of_proxy);
        position.map(|position| groups.remove(position));
    }
    shown.owner_groups = match only {
        Some(only) => OwnerGroups::Only(only),
        None if groups.is_empty() => OwnerGroups::All,
        None => OwnerGroups::Except(groups),
    };
    let output = || nat(found, &OUTPUT_RULES);
    shown.exclude_outbound_ports = ports(output(), &Target::Return).collect();
    shown.outbound_ports = ports(output(), &Target::Jump(REDIRECT)).collect();
    let captures_some = !ranges.is_empty() || !shown.outbound_ports.is_empty();
    if captures_some && ranges != [anywhere] {
        if !output().any(returns_connections_of_others) {
            // A captured range of loopback addresses removes these rules in both families, and its
            // own rule is in one of them.
            ranges.push(loopback_of_other_family(found.family));
        }
        shown.outbound_ranges = OutboundRanges::Only(ranges);
    }
}

/// Whether a rule excludes the connections over loopback that are not the proxy's.
fn returns_connections_of_others(rule: &Rule) -> bool {
    let is_owner = |condition: &Match| {
        matches!(
            condition,
            Match::OwnerUid(Sense::IsNot, _) | Match::OwnerGid(Sense::IsNot, _)
        )
    };
    let is_interface = |condition: &Match| matches!(condition, Match::OutInterface(Sense::Is, _));
    rule.target == Target::Return
        && rule.matches.iter().any(is_interface)
        && rule.matches.iter().any(is_owner)
}

fn loopback_of_other_family(family: Family) -> IpNetwork {
    match family {
        Family::V4 => IpAddr::from(Ipv6Addr::LOCALHOST).into(),
        Family::V6 => IpAddr::from(Ipv4Addr::LOCALHOST).into(),
    }
}

fn all_addresses(family: Family) -> IpNetwork {
    let unspecified = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    IpNetwork::new(unspecified, 0).expect("0 is the length of a prefix")
}

/// The groups in the conditions of a rule for processes of none of them.
fn in_none_of(conditions: &[&Match]) -> Option<Vec<Gid>> {
    let group = |condition: &&Match| match condition {
        Match::OwnerGid(Sense::IsNot, group) => group.single(),
        _ => None,
    };
    conditions.iter().map(group).collect()
}

fn read_interfaces(found: &RuleSet, shown: &mut Interception) {
    let interface = |rule: &Rule| match conditions(rule)[..] {
        [Match::InInterface(Sense::Is, name) | Match::OutInterface(Sense::Is, name)] => {
            (rule.target == Target::Return).then(|| name.clone())
        }
        _ => None,
    };
    let excluded: Vec<InterfaceName> = nat(found, &OUTPUT).filter_map(interface).collect();
    let arriving: Vec<_> = nat(found, &PREROUTING).filter_map(interface).collect();
    // The rules of excluded interfaces are appended, each of a rerouted one is inserted first.
    let mut appended = excluded.clone();
    for name in arriving.into_iter().rev() {
        match appended.iter().position(|excluded| *excluded == name) {
            Some(position) => drop(appended.remove(position)),
            None => shown.reroute_interfaces.push(name),
        }
    }
    shown.exclude_interfaces = excluded;
}

fn dns(found: &RuleSet) -> DnsCapture {
    let mut servers: Vec<IpAddr> = Vec::new();
    let mut queries = nat(found, &OUTPUT_DNS).peekable();
    if queries.peek().is_none() {
        return DnsCapture::Off;
    }
    for query in queries {
        let server = query.matches.iter().find_map(|condition| match condition {
            Match::Destination(Sense::Is, server) => Some(server.ip()),
            _ => None,
        });
        match server {
            None => return DnsCapture::All,
            Some(server) if servers.contains(&server) => {}
            Some(server) => servers.push(server),
        }
    }
    DnsCapture::Servers(servers)
}

fn rules<'found>(
    found: &'found RuleSet,
    table: TableName,
    chain: &ChainName,
) -> impl Iterator<Item = &'found Rule> + use<'found> {
    let chain = found.chain(table, chain);
    chain.into_iter().flat_map(|chain| &chain.rules)
}

fn nat<'found>(
    found: &'found RuleSet,
    chain: &ChainName,
) -> impl Iterator<Item = &'found Rule> + use<'found> {
    rules(found, TableName::Nat, chain)
}

fn conditions(rule: &Rule) -> Vec<&Match> {
    rule.sorted_matches()
}

fn jumps_to(rule: &Rule, chain: &ChainName) -> bool {
    matches!(&rule.target, Target::Jump(to) if to == chain)
}

/// The ports of the rules for TCP to one port or range of ports and with that target.
fn ports<'found>(
    rules: impl Iterator<Item = &'found Rule>,
    target: &Target,
) -> impl Iterator<Item = PortRange> {
    rules.filter_map(move |rule| match conditions(rule)[..] {
        [
            Match::Protocol(Sense::Is, Protocol::Tcp),
            Match::DestinationPort(Sense::Is, ports),
        ] => (rule.target == *target).then_some(*ports),
        _ => None,
    })
}
