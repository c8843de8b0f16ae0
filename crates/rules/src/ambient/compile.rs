//! Compiles an interception into rules, in the order in which Istio's agent writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{
    ChainName, Family, InterfaceName, Mark, Match, Port, Rule, RuleSet, Sense, TableName, Target,
};

use super::chains::{OUTPUT_RULES, PREROUTING_RULES};
use super::conventions::{CONNECTION_MARK, ROUTING, ZTUNNEL_MARK};
use super::interception::{EarlierConnections, Interception};
use crate::chains::{OUTPUT, PREROUTING};
use crate::shorthand::{
    arrives_through, from, from_port, not_to, not_to_port, over_loopback, tcp, to, to_port, udp,
};

pub(super) const OUTBOUND: Port = Port::constant(15001);
pub(super) const INBOUND: Port = Port::constant(15006);
const HBONE: Port = Port::constant(15008);
const RESOLVER: Port = Port::constant(15053);
const QUERIES: Port = Port::constant(53);

/// The zone of ztunnel's own queries, which may have the same addresses and ports as those of the
/// application.
const ZTUNNEL_ZONE: u16 = 1;

/// The rules for one family.
pub fn compile(interception: &Interception, family: Family) -> RuleSet {
    let mut rules = RuleSet::new(family);
    rules.routing = Some(ROUTING);
    mark_connections(&mut rules);
    redirect(interception, &mut rules);
    if interception.dns {
        separate_queries(&mut rules);
    }
    rules
}

/// The answers of the application have the mark of the connection that ztunnel opened.
fn mark_connections(rules: &mut RuleSet) {
    let table = TableName::Mangle;
    jump(rules, table, PREROUTING, PREROUTING_RULES);
    jump(rules, table, OUTPUT, OUTPUT_RULES);
    let set = Rule::new([by_ztunnel()], Target::SetConnmark(CONNECTION_MARK));
    rules.append(table, PREROUTING_RULES, set);
    let marked = Match::Connmark(Sense::Is, CONNECTION_MARK);
    let restore = Rule::new([marked], Target::RestoreMark);
    rules.append(table, OUTPUT_RULES, restore);
}

fn redirect(interception: &Interception, rules: &mut RuleSet) {
    let table = TableName::Nat;
    jump(rules, table, OUTPUT, OUTPUT_RULES);
    jump(rules, table, PREROUTING, PREROUTING_RULES);
    rules.table_mut(table).chain_mut(PREROUTING_RULES);
    if interception.earlier_connections == EarlierConnections::Keep {
        for chain in [PREROUTING_RULES, OUTPUT_RULES] {
            let later = [tcp(), Match::TcpSyn(Sense::IsNot)];
            rules.append(table, chain, Rule::new(later, Target::Accept));
        }
    }
    inbound(interception, rules);
    outbound(interception, rules);
}

fn inbound(interception: &Interception, rules: &mut RuleSet) {
    let (family, probe) = (rules.family, interception.probe_source(rules.family));
    let mut append = |matches: Vec<Match>, target| {
        rules.append(TableName::Nat, PREROUTING_RULES, Rule::new(matches, target));
    };
    for interface in &interception.reroute_interfaces {
        for target in [Target::Redirect(OUTBOUND), Target::Return] {
            append(vec![arrives_through(interface), tcp()], target);
        }
    }
    if interception.bypass_inbound {
        return;
    }
    append(vec![from(probe), tcp()], Target::Accept);
    let plaintext = vec![
        not_to(loopback(family)),
        tcp(),
        not_to_port(HBONE),
        not_by_ztunnel(),
    ];
    append(plaintext, Target::Redirect(INBOUND));
}

fn outbound(interception: &Interception, rules: &mut RuleSet) {
    let (family, probe) = (rules.family, interception.probe_source(rules.family));
    let mut append = |matches: Vec<Match>, target| {
        rules.append(TableName::Nat, OUTPUT_RULES, Rule::new(matches, target));
    };
    let loopback = not_to(loopback(family));
    append(vec![to(probe), tcp()], Target::Accept);
    if interception.dns {
        let not_over_loopback = Match::OutInterface(Sense::IsNot, InterfaceName::loopback());
        let resolver = Target::Redirect(RESOLVER);
        let by_udp = vec![not_over_loopback, udp(), not_by_ztunnel(), to_port(QUERIES)];
        append(by_udp, resolver.clone());
        let by_tcp = vec![loopback.clone(), tcp(), to_port(QUERIES), not_by_ztunnel()];
        append(by_tcp, resolver);
    }
    append(vec![tcp(), marked(CONNECTION_MARK)], Target::Accept);
    append(vec![loopback.clone(), over_loopback()], Target::Accept);
    let others = vec![loopback, tcp(), not_by_ztunnel()];
    append(others, Target::Redirect(OUTBOUND));
}

fn separate_queries(rules: &mut RuleSet) {
    let table = TableName::Raw;
    jump(rules, table, PREROUTING, PREROUTING_RULES);
    jump(rules, table, OUTPUT, OUTPUT_RULES);
    let zone = || Target::ConntrackZone(ZTUNNEL_ZONE);
    let query = [udp(), by_ztunnel(), to_port(QUERIES)];
    rules.append(table, OUTPUT_RULES, Rule::new(query, zone()));
    let answer = [udp(), not_by_ztunnel(), from_port(QUERIES)];
    rules.append(table, PREROUTING_RULES, Rule::new(answer, zone()));
}

fn jump(rules: &mut RuleSet, table: TableName, from: ChainName, to: ChainName) {
    rules.append(table, from, Rule::new([], Target::Jump(to)));
}

fn marked(mark: Mark) -> Match {
    Match::Mark(Sense::Is, mark)
}

fn by_ztunnel() -> Match {
    marked(ZTUNNEL_MARK)
}

fn not_by_ztunnel() -> Match {
    Match::Mark(Sense::IsNot, ZTUNNEL_MARK)
}

fn loopback(family: Family) -> IpNetwork {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST).into(),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
    }
}
