//! TPROXY: inbound connections reach the proxy with source and destination unchanged.
//!
//! Policy routing delivers packets with a mark locally, whatever their destination. The connection's
//! mark restores it on later packets of a connection that the proxy accepted.

use mesh_cni_netfilter::{
    ConntrackState, InterfaceName, Mark, Match, PolicyRouting, Rule, RuleSet, Sense, TableName,
    Target,
};

use super::by_proxy;
use crate::chains::{OUTPUT, PREROUTING};
use crate::conventions::inbound_passthrough;
use crate::istio::chains::{DIVERT, INBOUND, TPROXY};
use crate::istio::interception::Interception;
use crate::shorthand::{arrives_through, from, not_to, over_loopback, tcp};

const MANGLE: TableName = TableName::Mangle;

/// The chains for captured connections, step 5 of the contract.
pub(super) fn chains(interception: &Interception, routing: PolicyRouting, rules: &mut RuleSet) {
    let mark = routing.mark;
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

/// Captured packets of known connections are accepted, those of new ones go to the proxy.
pub(super) fn capture_actions() -> Vec<(Option<Match>, Target)> {
    let known = vec![ConntrackState::Related, ConntrackState::Established];
    vec![
        (
            Some(Match::ConntrackState(Sense::Is, known)),
            Target::Jump(DIVERT),
        ),
        (None, Target::Jump(TPROXY)),
    ]
}

/// Saves and restores marks over the life of a connection: step 17 of the contract.
pub(super) fn track_marks(
    interception: &Interception,
    routing: PolicyRouting,
    rules: &mut RuleSet,
) {
    rules.routing = Some(routing);
    let to_proxy = routing.mark;
    // Packets from the proxy to its own pod have the next mark, 1338.
    let from_proxy = Mark::exact(routing.mark.value.wrapping_add(1));
    let marked = |mark| Match::Mark(Sense::Is, mark);
    let loopback = not_to(interception.loopback(rules.family));

    let save = Rule::new([tcp(), marked(to_proxy)], Target::SaveMark);
    rules.append(MANGLE, PREROUTING, save);
    let passed = Rule::new([tcp(), over_loopback(), marked(to_proxy)], Target::Return);
    rules.append(MANGLE, OUTPUT, passed);
    for owner in by_proxy(interception) {
        let to_itself = [loopback.clone(), tcp(), over_loopback(), owner];
        rules.append(
            MANGLE,
            OUTPUT,
            Rule::new(to_itself, Target::SetMark(from_proxy)),
        );
    }
    let known = Match::Connmark(Sense::Is, to_proxy);
    rules.append(
        MANGLE,
        OUTPUT,
        Rule::new([tcp(), known], Target::RestoreMark),
    );

    let lo = arrives_through(&InterfaceName::loopback());
    let passthrough = from(inbound_passthrough(rules.family));
    let not_from_proxy = Match::Mark(Sense::IsNot, from_proxy);
    let leave = [
        vec![tcp(), marked(to_proxy)],
        vec![tcp(), passthrough, lo.clone()],
        vec![tcp(), lo, not_from_proxy],
    ];
    for (matches, number) in leave.into_iter().zip(1..) {
        rules.insert(MANGLE, INBOUND, number, Rule::new(matches, Target::Return));
    }
}
