//! TPROXY: inbound connections reach the proxy with source and destination unchanged.
//!
//! A mark tells policy routing to deliver a packet here, whatever its destination. The packets of
//! a connection that the proxy has taken keep the mark by way of the connection's own mark.

use super::shorthand::{by_proxy, comes_in, from, not_to, over_loopback, tcp};
use crate::chains::{DIVERT, INBOUND, OUTPUT, PREROUTING, TPROXY};
use crate::conventions::inbound_passthrough;
use crate::interception::Interception;
use mesh_cni_netfilter::ruleset::{
    ConntrackState, Mark, Match, PolicyRouting, Rule, RuleSet, Sense, TableName, Target,
};
use mesh_cni_netfilter::value::InterfaceName;

const MANGLE: TableName = TableName::Mangle;

/// The chains to which captured connections go, step 5 of the contract.
pub(super) fn hand_over(interception: &Interception, routing: PolicyRouting, rules: &mut RuleSet) {
    let mark = Mark::exact(routing.mark);
    rules.append(MANGLE, DIVERT, Rule::new([], Target::SetMark(mark)));
    rules.append(MANGLE, DIVERT, Rule::new([], Target::Accept));
    let loopback = interception.loopback(rules.family);
    let to_proxy = Target::Tproxy {
        port: interception.inbound_capture_port,
        mark,
    };
    rules.append(
        MANGLE,
        TPROXY,
        Rule::new([not_to(loopback), tcp()], to_proxy),
    );
}

/// What becomes of a captured connection: known ones are let in, new ones handed over.
pub(super) fn ways_in() -> Vec<(Option<Match>, Target)> {
    let known = vec![ConntrackState::Related, ConntrackState::Established];
    vec![
        (
            Some(Match::ConntrackState(Sense::Is, known)),
            Target::Jump(DIVERT),
        ),
        (None, Target::Jump(TPROXY)),
    ]
}

/// Marks, kept over the life of a connection: step 17 of the contract.
pub(super) fn keep_track(interception: &Interception, routing: PolicyRouting, rules: &mut RuleSet) {
    rules.routing = Some(routing);
    let handed_over = Mark::exact(routing.mark);
    // The mark of what the proxy sends to the pod itself: the next one, 1338.
    let of_proxy = Mark::exact(routing.mark.wrapping_add(1));
    let marked = |mark| Match::Mark(Sense::Is, mark);
    let loopback = not_to(interception.loopback(rules.family));

    let save = Rule::new([tcp(), marked(handed_over)], Target::SaveMark);
    rules.append(MANGLE, PREROUTING, save);
    let passed = Rule::new(
        [tcp(), over_loopback(), marked(handed_over)],
        Target::Return,
    );
    rules.append(MANGLE, OUTPUT, passed);
    for owner in by_proxy(interception) {
        let to_itself = [loopback.clone(), tcp(), over_loopback(), owner];
        rules.append(
            MANGLE,
            OUTPUT,
            Rule::new(to_itself, Target::SetMark(of_proxy)),
        );
    }
    let known = Match::Connmark(Sense::Is, handed_over);
    rules.append(
        MANGLE,
        OUTPUT,
        Rule::new([tcp(), known], Target::RestoreMark),
    );

    let lo = comes_in(&InterfaceName::loopback());
    let passthrough = from(inbound_passthrough(rules.family));
    let not_by_proxy = Match::Mark(Sense::IsNot, of_proxy);
    let leave = [
        vec![tcp(), marked(handed_over)],
        vec![tcp(), passthrough, lo.clone()],
        vec![tcp(), lo, not_by_proxy],
    ];
    for (matches, number) in leave.into_iter().zip(1..) {
        rules.insert(MANGLE, INBOUND, number, Rule::new(matches, Target::Return));
    }
}
