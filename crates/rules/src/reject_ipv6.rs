//! Rules that refuse IPv6 in a pod whose IPv6 traffic is not redirected.
//!
//! They depend on no address, so they cover link-local addresses and those that the pod gets later. They
//! need no connection tracking: packets of existing TCP connections are those without SYN. Other
//! protocols have no such packets, so all of theirs are refused.

use mesh_cni_netfilter::ruleset::RejectWith;
use mesh_cni_netfilter::{
    ChainName, Family, InterfaceName, Match, Protocol, Rule, RuleSet, Sense, TableName, Target,
};

use crate::chains::{INPUT, OUTPUT, REJECT_IPV6};
use crate::shorthand::tcp;

const FILTER: TableName = TableName::Filter;

/// The types of `ICMPv6` messages that pass, in ascending order: errors (1 to 4; answers to packets that
/// passed, and our own), multicast listener discovery (130 to 132 and 143), and neighbour discovery
/// (133 to 137). RFC 4443, RFC 2710, RFC 3810, RFC 4861.
const PASSING_TYPES: [u8; 13] = [1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 137, 143];

/// The rules that refuse new inbound and outbound connections over IPv6, except over loopback.
///
/// TCP is answered with a reset, everything else with the `ICMPv6` error "administratively prohibited".
pub fn reject_ipv6() -> RuleSet {
    let mut rules = RuleSet::new(Family::V6);
    let lo = InterfaceName::loopback;
    enter(&mut rules, INPUT, Match::InInterface(Sense::IsNot, lo()));
    enter(&mut rules, OUTPUT, Match::OutInterface(Sense::IsNot, lo()));
    let mut append = |matches: Vec<Match>, target| {
        rules.append(FILTER, REJECT_IPV6, Rule::new(matches, target));
    };
    append(vec![tcp(), Match::TcpSyn(Sense::IsNot)], Target::Return);
    append(vec![tcp()], Target::Reject(RejectWith::TcpReset));
    let icmpv6 = Match::Protocol(Sense::Is, Protocol::Icmpv6);
    for number in PASSING_TYPES {
        let message = Match::Icmpv6Type(Sense::Is, number);
        append(vec![icmpv6.clone(), message], Target::Return);
    }
    append(
        Vec::new(),
        Target::Reject(RejectWith::Icmpv6AdminProhibited),
    );
    rules
}

fn enter(rules: &mut RuleSet, chain: ChainName, not_loopback: Match) {
    let jump = Rule::new([not_loopback], Target::Jump(REJECT_IPV6));
    rules.append(FILTER, chain, jump);
}
