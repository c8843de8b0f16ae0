//! The rows of the specification's table: both rule sets and both modes.

use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::Backend;
use mesh_cni_rules::Interception;
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, Mode};
use mesh_cni_rules::istio::{self, Dialect};
use mesh_cni_tests::{Link, Origin, PodGuestNet, Sender, far_address};

use super::{Row, follow_all};
use Origin::{Peer, Pod};
use Protocol::{Tcp, Udp};

/// The documented pod's settings, with an excluded range in each family and DNS capture.
fn settings(mode: &str) -> istio::Interception {
    let mut interception = istio::Interception::pod_default();
    interception.mode = mode.parse::<Mode>().unwrap();
    let excluded = ["22", "15020", "15021", "15090"].map(|port| port.parse().unwrap());
    interception.inbound = InboundCapture::AllExcept(excluded.to_vec());
    let ranges = Family::ALL.map(|family| far_address(family).into());
    interception.exclude_outbound_ranges = ranges.to_vec();
    interception.dns = DnsCapture::All;
    interception
}

fn arriving(family: Family, mode: &str) -> Vec<Row> {
    let is_transparent = mode == "TPROXY";
    let row = |story, protocol, port, ends| Row {
        is_transparent,
        ..Row::arriving(story, protocol, (Link::ETH0, family), port, ends)
    };
    // The exception for the tunnel port is in nat only, which TPROXY bypasses.
    let tunnel = if is_transparent { 15006 } else { 15008 };
    vec![
        row("in, tcp to a captured port", Tcp, 9080, 15006),
        row("in, tcp to 15008", Tcp, 15008, tunnel),
        row("in, tcp to an excluded port", Tcp, 22, 22),
        row("in, udp", Udp, 9080, 9080),
    ]
}

/// The sender, the protocol, the destination, and the listener that receives it on which port.
type Leaving = (&'static str, Protocol, Sender, (IpAddr, u16), (Origin, u16));

fn of_application(family: Family) -> Vec<Leaving> {
    let (own, peer) = (Link::ETH0.own(family), Link::ETH0.other(family));
    let (far, local) = (far_address(family), family.loopback().ip());
    let by = Sender::APP;
    vec![
        ("app's tcp", Tcp, by, (peer, 9080), (Pod, 15001)),
        ("to an excluded port", Tcp, by, (peer, 15020), (Peer, 15020)),
        ("to an excluded range", Tcp, by, (far, 9080), (Peer, 9080)),
        ("to loopback", Tcp, by, (local, 9080), (Pod, 9080)),
        ("app's udp", Udp, by, (peer, 9080), (Peer, 9080)),
        ("app to its own pod", Tcp, by, (own, 9080), (Pod, 9080)),
        ("app's query over udp", Udp, by, (peer, 53), (Pod, 15053)),
        ("app's query over tcp", Tcp, by, (peer, 53), (Pod, 15053)),
    ]
}

fn of_proxy(family: Family) -> Vec<Leaving> {
    let (own, peer) = (Link::ETH0.own(family), Link::ETH0.other(family));
    let (by, by_group) = (Sender::PROXY, Sender::PROXY_GROUP);
    vec![
        ("proxy's user", Tcp, by, (peer, 9080), (Peer, 9080)),
        ("proxy's group", Tcp, by_group, (peer, 9080), (Peer, 9080)),
        ("proxy to its own pod", Tcp, by, (own, 9080), (Pod, 15006)),
        ("proxy's query over udp", Udp, by, (peer, 53), (Peer, 53)),
        ("proxy's query over tcp", Tcp, by, (peer, 53), (Peer, 53)),
    ]
}

fn rows(family: Family, mode: &str) -> Vec<Row> {
    let mut rows = arriving(family, mode);
    let leaving = of_application(family).into_iter().chain(of_proxy(family));
    rows.extend(leaving.map(|(story, protocol, sender, to, ends)| {
        Row::leaving(story, protocol, sender, to, ends)
    }));
    rows.push(Row::passed_on(Sender::PROXY, family));
    rows
}

#[test]
fn every_row_arrives_where_the_specification_says() {
    let mut world = PodGuestNet::new();
    world.resolve_as(Sender::PROXY);
    for backend in Backend::ALL {
        for mode in ["REDIRECT", "TPROXY"] {
            for dialect in [Dialect::Asm, Dialect::Istio] {
                let interception = Interception::Istio(settings(mode), dialect);
                follow_all(&mut world, &interception, backend, |family| {
                    rows(family, mode)
                });
            }
        }
    }
}
