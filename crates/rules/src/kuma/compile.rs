//! Compiles an interception into rules, in the order in which Kuma 2.14 leaves them.
//!
//! Kuma inserts some rules and appends others. The order here is the one that results in an empty
//! chain.

mod dns;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{
    ChainName, ConntrackState, Family, Match, Port, Rule, RuleSet, Sense, TableName, Target,
};

use super::chains::{ALWAYS, INBOUND, INBOUND_REDIRECT, OUTBOUND, OUTBOUND_REDIRECT};
use super::conventions::commented;
use super::interception::{Flow, Interception, VirtualNetwork};
use crate::chains::{OUTPUT, PREROUTING};
use crate::conventions::inbound_passthrough;
use crate::shorthand::{
    arrives_through, by_user, from, not_to, over_loopback, tcp, to, to_port, udp,
};

const NAT: TableName = TableName::Nat;

pub(super) fn compile(interception: &Interception, family: Family) -> RuleSet {
    let mut rules = RuleSet::new(family);
    dns::zones(interception, &mut rules);
    for chain in ALWAYS {
        rules.table_mut(NAT).chain_mut(chain);
    }
    let mut add = |chain: ChainName, found: Vec<Rule>| {
        rules.table_mut(NAT).chain_mut(chain).rules.extend(found);
    };
    add(PREROUTING, prerouting(interception, family));
    add(OUTPUT, output(interception, family));
    add(INBOUND, inbound(&interception.inbound, family));
    add(OUTBOUND, outbound(interception, family));
    add(
        INBOUND_REDIRECT,
        redirect(
            interception.inbound.port,
            "to the inbound port of the proxy",
        ),
    );
    add(
        OUTBOUND_REDIRECT,
        redirect(
            interception.outbound.port,
            "to the outbound port of the proxy",
        ),
    );
    if interception.drop_invalid {
        let invalid = Match::ConntrackState(Sense::Is, vec![ConntrackState::Invalid]);
        let rule = commented("drop packets of no connection", [invalid], Target::Drop);
        rules.append(TableName::Mangle, PREROUTING, rule);
    }
    rules
}

fn prerouting(interception: &Interception, family: Family) -> Vec<Rule> {
    let log = log(interception, "PREROUTING:");
    let of_family = |network: &&VirtualNetwork| Family::of(&network.network) == family;
    let networks: Vec<_> = interception
        .virtual_networks
        .iter()
        .filter(of_family)
        .collect();
    let jump = commented("inbound TCP", [tcp()], Target::Jump(INBOUND));
    let inserts = !networks.is_empty() || interception.inbound.insert;
    let mut rules: Vec<_> = networks
        .into_iter()
        .flat_map(|network| virtual_network(interception, network))
        .collect();
    if inserts {
        rules.push(jump);
        rules.extend(log);
    } else {
        rules.extend(log);
        rules.push(jump);
    }
    rules
}

/// The rules for one virtual network. Kuma writes the one for DNS also where DNS is not captured.
fn virtual_network(interception: &Interception, network: &VirtualNetwork) -> [Rule; 2] {
    let arrives = || arrives_through(&network.interface);
    [
        commented(
            "DNS queries of a virtual network",
            [arrives(), udp(), to_port(dns::QUERIES)],
            Target::Redirect(interception.dns_port),
        ),
        commented(
            "outbound TCP of a virtual network",
            [not_to(network.network), arrives(), tcp()],
            Target::Redirect(interception.outbound.port),
        ),
    ]
}

fn output(interception: &Interception, family: Family) -> Vec<Rule> {
    let mut rules = Vec::from_iter(log(interception, "OUTPUT:"));
    rules.extend(interception.excluded_users.iter().map(|excluded| {
        let matches = [
            Match::Protocol(Sense::Is, excluded.protocol),
            Match::DestinationPorts(Sense::Is, excluded.ports.clone()),
            Match::OwnerUid(Sense::Is, excluded.users),
        ];
        commented("traffic of excluded users", matches, Target::Return)
    }));
    rules.extend(
        networks(&interception.outbound, family)
            .map(|network| commented("excluded destinations", [to(network)], Target::Return)),
    );
    let queries = dns::redirects(interception, family);
    rules.extend(queries.over_udp);
    let jump = commented("outbound TCP", [tcp()], Target::Jump(OUTBOUND));
    if interception.outbound.insert {
        rules.push(jump);
        rules.extend(queries.over_tcp);
    } else {
        rules.extend(queries.over_tcp);
        rules.push(jump);
    }
    rules
}

fn inbound(flow: &Flow, family: Family) -> Vec<Rule> {
    if !flow.enabled {
        return vec![nothing_captured()];
    }
    let mut rules: Vec<_> = networks(flow, family)
        .map(|network| commented("excluded sources", [from(network)], Target::Return))
        .collect();
    rules.extend(excluded_ports(flow));
    let to_proxy = || Target::Jump(INBOUND_REDIRECT);
    if flow.include_ports.is_empty() {
        rules.push(commented("all other TCP", [tcp()], to_proxy()));
    }
    rules.extend(included_ports(flow, &to_proxy()));
    rules
}

fn outbound(interception: &Interception, family: Family) -> Vec<Rule> {
    let flow = &interception.outbound;
    if !flow.enabled {
        return vec![nothing_captured()];
    }
    let by_proxy = |sense| by_user(sense, interception.proxy_uid);
    let loopback = family.loopback();
    let mut rules: Vec<_> = excluded_ports(flow).collect();
    rules.extend([
        commented(
            "the proxy to the application",
            [from(inbound_passthrough(family)), over_loopback()],
            Target::Return,
        ),
        commented(
            "the proxy to its own pod: inbound again",
            [
                tcp(),
                over_loopback(),
                not_to(loopback),
                by_proxy(Sense::Is),
            ],
            Target::Jump(INBOUND_REDIRECT),
        ),
        commented(
            "the application to itself",
            [tcp(), over_loopback(), by_proxy(Sense::IsNot)],
            Target::Return,
        ),
        commented(
            "traffic of the proxy",
            [by_proxy(Sense::Is)],
            Target::Return,
        ),
        commented(
            "traffic to the loopback address",
            [to(loopback)],
            Target::Return,
        ),
    ]);
    let to_proxy = || Target::Jump(OUTBOUND_REDIRECT);
    if flow.include_ports.is_empty() {
        rules.push(commented("all other TCP", [], to_proxy()));
    }
    rules.extend(included_ports(flow, &to_proxy()));
    rules
}

fn nothing_captured() -> Rule {
    commented("this direction is not captured", [tcp()], Target::Return)
}

/// The rules for excluded ports; none if only included ports are captured.
fn excluded_ports(flow: &Flow) -> impl Iterator<Item = Rule> {
    let excluded = if flow.include_ports.is_empty() {
        flow.exclude_ports.as_slice()
    } else {
        &[]
    };
    excluded
        .iter()
        .map(|port| commented("excluded ports", [tcp(), to_port(*port)], Target::Return))
}

fn included_ports(flow: &Flow, to_proxy: &Target) -> impl Iterator<Item = Rule> {
    flow.include_ports
        .iter()
        .map(move |port| commented("included ports", [tcp(), to_port(*port)], to_proxy.clone()))
}

fn networks(flow: &Flow, family: Family) -> impl Iterator<Item = IpNetwork> {
    let networks = flow.exclude_networks.iter().copied();
    networks.filter(move |network| Family::of(network) == family)
}

fn redirect(port: Port, comment: &str) -> Vec<Rule> {
    vec![commented(comment, [tcp()], Target::Redirect(port))]
}

fn log(interception: &Interception, prefix: &str) -> Option<Rule> {
    let level = interception.log_level?;
    let prefix = prefix.to_owned();
    Some(commented("log packets", [], Target::Log { prefix, level }))
}
