//! Judges rules whose settings are not known: whether some settings have exactly these rules.

use std::net::IpAddr;

use mesh_cni_netfilter::{
    ChainName, Drift, InterfaceName, Match, Rule, RuleSet, Sense, TableName, Target, drift,
};

use super::chains::{OUTPUT_RULES, PREROUTING_RULES};
use super::compile::{INBOUND, OUTBOUND, compile};
use super::conventions::OWNERSHIP;
use super::interception::{EarlierConnections, Interception};

/// The first difference between rules that were found and the rules of the settings that they show;
/// `None` if they are complete.
///
/// A missing rule that a setting could explain is not noticed, such as that of a rerouted interface.
pub(crate) fn incomplete(ours: &RuleSet) -> Option<Drift> {
    drift(&compile(&shown_by(ours), ours.family), ours, OWNERSHIP)
}

fn shown_by(found: &RuleSet) -> Interception {
    let rules = |chain: ChainName| {
        let chain = found.chain(TableName::Nat, &chain).into_iter();
        chain.flat_map(|chain| &chain.rules)
    };
    let arriving = || rules(PREROUTING_RULES);
    let mut shown = Interception {
        dns: found.table(TableName::Raw).is_some(),
        bypass_inbound: !arriving().any(|rule| rule.target == Target::Redirect(INBOUND)),
        reroute_interfaces: arriving().filter_map(rerouted).cloned().collect(),
        ..Interception::default()
    };
    let not_syn = Match::TcpSyn(Sense::IsNot);
    if rules(OUTPUT_RULES).any(|rule| rule.matches.contains(&not_syn)) {
        shown.earlier_connections = EarlierConnections::Keep;
    }
    match rules(OUTPUT_RULES).find_map(accepted_destination) {
        Some(IpAddr::V4(address)) => shown.probe_sources.0 = address,
        Some(IpAddr::V6(address)) => shown.probe_sources.1 = address,
        None => {}
    }
    shown
}

fn rerouted(rule: &Rule) -> Option<&InterfaceName> {
    let interface = rule.matches.iter().find_map(|condition| match condition {
        Match::InInterface(Sense::Is, name) => Some(name),
        _ => None,
    });
    interface.filter(|_| rule.target == Target::Redirect(OUTBOUND))
}

/// The source address of probes, to which the answers go.
fn accepted_destination(rule: &Rule) -> Option<IpAddr> {
    let destination = rule.matches.iter().find_map(|condition| match condition {
        Match::Destination(Sense::Is, to) => Some(to.ip()),
        _ => None,
    });
    destination.filter(|_| rule.target == Target::Accept)
}
