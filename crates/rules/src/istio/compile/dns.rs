//! DNS capture: redirects queries to the proxy's resolver, in separate conntrack zones.
//!
//! Step 12 of the contract. Without the zones, the application's query to the proxy and the proxy's
//! query to the server conflict if both have the same addresses and ports.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{ChainName, Family, Match, Port, Rule, RuleSet, TableName, Target};

use super::by_proxy;
use crate::chains::{OUTPUT, PREROUTING};
use crate::istio::chains::{INBOUND, OUTPUT_DNS, OUTPUT_RULES};
use crate::istio::interception::{DnsCapture, Interception};
use crate::shorthand::{from, from_port, tcp, to, to_port, udp};

/// The port of DNS.
pub(super) const QUERIES: Port = Port::constant(53);
/// The proxy's port for captured queries.
const PROXY_RESOLVER: Port = Port::constant(15053);

/// The zone of the proxy's queries, and of the answers to it.
const PROXY_ZONE: u16 = 1;
/// The zone of the application's queries, and of the answers to it.
const APPLICATION_ZONE: u16 = 2;

/// Whether queries are captured in any family, as Istio decides for the rules of both.
pub(super) fn captures(interception: &Interception) -> bool {
    match &interception.dns {
        DnsCapture::Off => false,
        DnsCapture::All => true,
        DnsCapture::Servers(servers) => !servers.is_empty(),
    }
}

/// Whether queries of that family are captured.
pub(super) fn captures_family(interception: &Interception, family: Family) -> bool {
    !servers(interception, family).is_empty()
}

/// The servers whose queries are captured; `None` matches all servers.
fn servers(interception: &Interception, family: Family) -> Vec<Option<IpNetwork>> {
    let of_family = |server: &&IpAddr| Family::of_address(**server) == family;
    match &interception.dns {
        DnsCapture::Off => Vec::new(),
        DnsCapture::All => vec![None],
        DnsCapture::Servers(servers) => {
            let servers = servers.iter().filter(of_family).copied();
            servers.map(|server| Some(server.into())).collect()
        }
    }
}

pub(super) fn compile(interception: &Interception, rules: &mut RuleSet) {
    if !captures(interception) {
        return;
    }
    let jump = || Rule::new([], Target::Jump(OUTPUT_DNS));
    rules.append(TableName::Raw, OUTPUT, jump());
    let servers = servers(interception, rules.family);
    if servers.is_empty() {
        // Without effect, but Istio writes them in both families.
        zones_of_proxy(interception, rules);
        return;
    }
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

fn append_zone(rules: &mut RuleSet, chain: ChainName, matches: Vec<Match>, zone: u16) {
    let rule = Rule::new(matches, Target::ConntrackZone(zone));
    rules.append(TableName::Raw, chain, rule);
}

fn zones_of_proxy(interception: &Interception, rules: &mut RuleSet) {
    for owner in by_proxy(interception) {
        let query = vec![udp(), to_port(QUERIES), owner.clone()];
        let answer = vec![udp(), from_port(PROXY_RESOLVER), owner];
        append_zone(rules, OUTPUT_DNS, query, PROXY_ZONE);
        append_zone(rules, OUTPUT_DNS, answer, APPLICATION_ZONE);
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
        append_zone(rules, OUTPUT_DNS, query, APPLICATION_ZONE);
        let mut answer = vec![udp(), from_port(QUERIES)];
        answer.extend(server.map(from));
        append_zone(rules, INBOUND, answer, PROXY_ZONE);
    }
}
