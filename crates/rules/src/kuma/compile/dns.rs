//! DNS capture: redirects queries over UDP to the proxy, in separate conntrack zones. Queries over TCP
//! are not captured.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{Family, Match, Port, Rule, RuleSet, Sense, TableName, Target};

use crate::chains::{OUTPUT, PREROUTING};
use crate::istio::interception::DnsCapture;
use crate::kuma::conventions::commented;
use crate::kuma::interception::Interception;
use crate::shorthand::{by_user, from, from_port, tcp, to, to_port, udp};

/// The port of DNS.
pub(super) const QUERIES: Port = Port::constant(53);

/// The zone of the proxy's queries, and of the answers to it.
const PROXY_ZONE: u16 = 1;
/// The zone of the application's queries, and of the answers to it.
const APPLICATION_ZONE: u16 = 2;

/// The rules of nat `OUTPUT` for queries.
#[derive(Default)]
pub(super) struct Redirects {
    pub(super) over_udp: Vec<Rule>,
    /// Excludes them from the capture of outbound TCP.
    pub(super) over_tcp: Option<Rule>,
}

/// The servers of that family whose queries are captured; `None` matches all servers.
fn servers(interception: &Interception, family: Family) -> Vec<Option<IpNetwork>> {
    match &interception.dns {
        DnsCapture::Off => Vec::new(),
        DnsCapture::All => vec![None],
        DnsCapture::Servers(servers) => {
            let of_family = |server: &&IpAddr| Family::of_address(**server) == family;
            let servers = servers.iter().filter(of_family).copied();
            servers.map(|server| Some(server.into())).collect()
        }
    }
}

pub(super) fn redirects(interception: &Interception, family: Family) -> Redirects {
    let servers = servers(interception, family);
    if servers.is_empty() {
        return Redirects::default();
    }
    let by_proxy = |sense| by_user(sense, interception.proxy_uid);
    let mut over_udp = vec![commented(
        "DNS queries of the proxy",
        [udp(), to_port(QUERIES), by_proxy(Sense::Is)],
        Target::Return,
    )];
    over_udp.extend(servers.into_iter().map(|server| {
        let query = server.map(to).into_iter().chain([udp(), to_port(QUERIES)]);
        commented(
            "DNS queries",
            query,
            Target::Redirect(interception.dns_port),
        )
    }));
    Redirects {
        over_udp,
        over_tcp: Some(commented(
            "DNS queries over TCP",
            [tcp(), to_port(QUERIES), by_proxy(Sense::IsNot)],
            Target::Return,
        )),
    }
}

/// Without the zones, the application's query to the proxy and the proxy's query to the server
/// conflict if both have the same addresses and ports.
pub(super) fn zones(interception: &Interception, rules: &mut RuleSet) {
    let family = rules.family;
    let servers = servers(interception, family);
    if servers.is_empty() || !interception.separate_zones {
        return;
    }
    let mut add = |chain, comment, matches: Vec<Match>, zone| {
        let rule = commented(comment, matches, Target::ConntrackZone(zone));
        rules.append(TableName::Raw, chain, rule);
    };
    let by_proxy = || by_user(Sense::Is, interception.proxy_uid);
    let query = vec![udp(), to_port(QUERIES), by_proxy()];
    add(OUTPUT, "DNS queries of the proxy", query, PROXY_ZONE);
    let answer = vec![udp(), from_port(interception.dns_port), by_proxy()];
    add(OUTPUT, "DNS answers of the proxy", answer, APPLICATION_ZONE);
    for server in servers {
        let query = server.map(to).into_iter().chain([udp(), to_port(QUERIES)]);
        add(OUTPUT, "DNS queries", query.collect(), APPLICATION_ZONE);
        if let Some(local) = server.filter(|server| server.ip().is_loopback()) {
            let answer = vec![from(local), to(family.loopback()), udp()];
            add(OUTPUT, "DNS answers of a local server", answer, PROXY_ZONE);
        }
        let answer = server.map(from).into_iter();
        let answer = answer.chain([udp(), from_port(QUERIES)]);
        add(PREROUTING, "DNS answers", answer.collect(), PROXY_ZONE);
    }
}
