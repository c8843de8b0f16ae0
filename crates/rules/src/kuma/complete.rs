//! Judges rules whose settings are not known: whether some settings have exactly these rules.

use mesh_cni_netfilter::{
    ChainName, Drift, Match, Protocol, Rule, RuleSet, Sense, TableName, Target, drift,
};

use super::chains::{INBOUND, INBOUND_REDIRECT, OUTBOUND, OUTBOUND_REDIRECT};
use super::{Flow, Interception, OWNERSHIP};

/// The first difference between rules that were found and the rules of the settings that they show,
/// whatever their comments; `None` if they are complete.
///
/// Judges the redirection of TCP. A missing rule that a setting could explain is not noticed, such as that of
/// an excluded port; nor is one for DNS, virtual networks, or packets that are logged or dropped.
pub(crate) fn incomplete(ours: &RuleSet) -> Option<Drift> {
    let ours = redirection_of_tcp(ours.clone());
    let wanted = shown_by(&ours).compile(ours.family);
    drift(&redirection_of_tcp(wanted), &ours, &OWNERSHIP)
}

/// The chains of Kuma, and the jumps to them.
fn redirection_of_tcp(mut rules: RuleSet) -> RuleSet {
    rules.tables.retain(|table| table.name == TableName::Nat);
    for table in &mut rules.tables {
        for chain in &mut table.chains {
            if table.name.builtin(&chain.name).is_some() {
                chain
                    .rules
                    .retain(|rule| matches!(rule.target, Target::Jump(_)));
            }
        }
    }
    rules.without_comments()
}

fn shown_by(found: &RuleSet) -> Interception {
    let mut shown = Interception::pod_default();
    read(&mut shown.inbound, found, &INBOUND, &INBOUND_REDIRECT);
    read(&mut shown.outbound, found, &OUTBOUND, &OUTBOUND_REDIRECT);
    for rule in rules(found, &OUTBOUND) {
        if let ([Match::OwnerUid(Sense::Is, user)], Target::Return) =
            (&rule.sorted_matches()[..], &rule.target)
        {
            shown.proxy_uid = user.single().unwrap_or(shown.proxy_uid);
        }
    }
    shown
}

/// Reads what a direction captures from its chain, and the proxy's port from the chain that redirects.
fn read(flow: &mut Flow, found: &RuleSet, chain: &ChainName, redirect: &ChainName) {
    for rule in rules(found, chain) {
        match (&rule.sorted_matches()[..], &rule.target) {
            ([Match::Protocol(Sense::Is, Protocol::Tcp)], Target::Return) => flow.enabled = false,
            ([Match::Source(Sense::Is, network)], Target::Return) => {
                flow.exclude_networks.push(*network);
            }
            (
                [
                    Match::Protocol(Sense::Is, Protocol::Tcp),
                    Match::DestinationPort(Sense::Is, ports),
                ],
                target,
            ) => match target {
                Target::Return => flow.exclude_ports.extend(ports.single()),
                Target::Jump(_) => flow.include_ports.extend(ports.single()),
                _ => {}
            },
            _ => {}
        }
    }
    for rule in rules(found, redirect) {
        if let Target::Redirect(port) = rule.target {
            flow.port = port;
        }
    }
}

fn rules<'found>(found: &'found RuleSet, chain: &ChainName) -> impl Iterator<Item = &'found Rule> {
    let chain = found.chain(TableName::Nat, chain);
    chain.into_iter().flat_map(|chain| &chain.rules)
}
