//! DNS capture: queries go to the proxy's resolver, in connection-tracking zones of their own.
//!
//! Step 12 of the contract. The zones keep the application's query to the proxy and the proxy's
//! own query to the server apart where both use the same addresses and ports.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::shorthand::{by_proxy, from, from_port, tcp, to, to_port, udp};
use crate::chains::{INBOUND, OUTPUT, OUTPUT_DNS, OUTPUT_RULES, PREROUTING};
use crate::interception::{DnsCapture, Interception};
use mesh_cni_netfilter::ruleset::{ChainName, Family, Match, Rule, RuleSet, TableName, Target};
use mesh_cni_netfilter::value::Port;

/// The port of DNS.
pub(super) const QUERIES: Port = Port::constant(53);
/// Where the proxy answers captured queries.
const PROXY_RESOLVER: Port = Port::constant(15053);

/// The zone of what the proxy sends to servers, and of their answers.
const OF_PROXY: u16 = 1;
/// The zone of what the application sends, and of the proxy's answers to it.
const OF_APPLICATION: u16 = 2;

/// Whether queries of that family are captured.
pub(super) fn captures(interception: &Interception, family: Family) -> bool {
    !servers(interception, family).is_empty()
}

/// Which servers' queries are captured; one that stands for all where every query is.
fn servers(interception: &Interception, family: Family) -> Vec<Option<IpNetwork>> {
    let of_family = |server: &&IpAddr| Family::of_address(**server) == family;
    match &interception.dns {
        DnsCapture::Off => Vec::new(),
        DnsCapture::All => vec![None],
        DnsCapture::Servers(servers) => {
            let servers = servers.iter().filter(of_family);
            servers
                .map(|server| Some(IpNetwork::from(*server)))
                .collect()
        }
    }
}

pub(super) fn compile(interception: &Interception, rules: &mut RuleSet) {
    let servers = servers(interception, rules.family);
    if servers.is_empty() {
        return;
    }
    let jump = || Rule::new([], Target::Jump(OUTPUT_DNS));
    rules.append(TableName::Raw, OUTPUT, jump());
    rules.append(TableName::Nat, OUTPUT_RULES, jump());
    for protocol in [tcp(), udp()] {
        for server in &servers {
            let mut query = vec![protocol.clone(), to_port(QUERIES)];
            query.extend(server.map(to));
            let rule = Rule::new(query, Target::Redirect(PROXY_RESOLVER));
            rules.append(TableName::Nat, OUTPUT_DNS, rule);
        }
    }
    zones_of_proxy(interception, rules);
    zones_of_servers(&servers, rules);
}

fn track(rules: &mut RuleSet, chain: ChainName, matches: Vec<Match>, zone: u16) {
    let rule = Rule::new(matches, Target::ConntrackZone(zone));
    rules.append(TableName::Raw, chain, rule);
}

fn zones_of_proxy(interception: &Interception, rules: &mut RuleSet) {
    for owner in by_proxy(interception) {
        let query = vec![udp(), to_port(QUERIES), owner.clone()];
        let answer = vec![udp(), from_port(PROXY_RESOLVER), owner];
        track(rules, OUTPUT_DNS, query, OF_PROXY);
        track(rules, OUTPUT_DNS, answer, OF_APPLICATION);
    }
}

fn zones_of_servers(servers: &[Option<IpNetwork>], rules: &mut RuleSet) {
    rules.append(
        TableName::Raw,
        PREROUTING,
        Rule::new([], Target::Jump(INBOUND)),
    );
    for server in servers {
        let mut query = vec![udp(), to_port(QUERIES)];
        query.extend(server.map(to));
        track(rules, OUTPUT_DNS, query, OF_APPLICATION);
        let mut answer = vec![udp(), from_port(QUERIES)];
        answer.extend(server.map(from));
        track(rules, INBOUND, answer, OF_PROXY);
    }
}
