//! Judges rules whose settings are not known: whether some settings have exactly these rules.

use mesh_cni_netfilter::{
    ChainName, Drift, Match, Protocol, Rule, RuleSet, Sense, TableName, Target, drift,
};

use super::chains::{OUTPUT_RULES, REDIRECT};
use super::{Interception, OWNERSHIP, compile};

/// The first difference between rules that were found and the rules of the settings that they show,
/// whatever their comments; `None` if they are complete.
///
/// A missing rule that a setting could explain is not noticed, such as that of an excluded port.
pub(crate) fn incomplete(ours: &RuleSet) -> Option<Drift> {
    let ours = ours.clone().without_comments();
    let wanted = compile(&shown_by(&ours), ours.family).without_comments();
    drift(&wanted, &ours, &OWNERSHIP)
}

fn shown_by(found: &RuleSet) -> Interception {
    let mut shown = Interception::command_default();
    for rule in rules(found, &REDIRECT) {
        match (&rule.sorted_matches()[..], &rule.target) {
            ([Match::Protocol(..)], Target::Redirect(port)) => shown.inbound_port = *port,
            (
                [
                    Match::Protocol(Sense::Is, Protocol::Tcp),
                    Match::DestinationPort(Sense::Is, ports),
                ],
                Target::Redirect(port),
            ) => {
                shown.inbound_port = *port;
                shown.redirected_ports.push(*ports);
            }
            (
                [
                    Match::Protocol(Sense::Is, Protocol::Tcp),
                    Match::DestinationPorts(Sense::Is, ports),
                ],
                Target::Return,
            ) => {
                shown.skipped_inbound_ports.extend(ports);
            }
            ([Match::Source(Sense::Is, subnet)], Target::Return) => {
                shown.skipped_inbound_subnets.push(*subnet);
            }
            _ => {}
        }
    }
    for rule in rules(found, &OUTPUT_RULES) {
        match (&rule.sorted_matches()[..], &rule.target) {
            ([Match::Protocol(..)], Target::Redirect(port)) => shown.outbound_port = *port,
            ([Match::OwnerUid(Sense::Is, user)], Target::Return) => {
                shown.proxy_uid = user.single();
            }
            ([Match::OwnerGid(Sense::Is, group)], Target::Return) => {
                shown.proxy_gid = group.single();
            }
            (
                [
                    Match::Protocol(Sense::Is, Protocol::Tcp),
                    Match::DestinationPorts(Sense::Is, ports),
                ],
                Target::Return,
            ) => {
                shown.skipped_outbound_ports.extend(ports);
            }
            ([Match::Destination(Sense::Is, subnet)], Target::Return) => {
                shown.skipped_outbound_subnets.push(*subnet);
            }
            _ => {}
        }
    }
    shown
}

fn rules<'found>(found: &'found RuleSet, chain: &ChainName) -> impl Iterator<Item = &'found Rule> {
    let chain = found.chain(TableName::Nat, chain);
    chain.into_iter().flat_map(|chain| &chain.rules)
}
