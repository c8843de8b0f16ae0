//! Every row of the specification's table as a real connection or datagram: both rule sets, both
//! modes, both families, every back end.

use std::net::{IpAddr, SocketAddr};

use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::{Family, Protocol, RuleSet};
use mesh_cni_netns::{Backend, BackendChoice, apply, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::inbound_passthrough;
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, Mode};
use mesh_cni_rules::istio::{Dialect, Interception, compile};
use mesh_cni_tests::{Link, Origin, PodGuestNet, Probe, Sender, any_address, far_address};

use crate::traffic::xtables;
use Origin::{Peer, Pod};
use Protocol::{Tcp, Udp};

/// A row: what is sent, and which listener receives it on which port.
struct Row {
    story: &'static str,
    origin: Origin,
    protocol: Protocol,
    sender: Sender,
    /// The source port; without one the kernel chooses.
    source: Option<IpAddr>,
    to: SocketAddr,
    ends: (Origin, u16),
}

/// The documented pod's settings, with an excluded range in each family and DNS capture.
fn settings(mode: &str) -> Interception {
    let mut interception = Interception::pod_default();
    interception.mode = mode.parse::<Mode>().unwrap();
    let excluded = ["22", "15020", "15021", "15090"].map(|port| port.parse().unwrap());
    interception.inbound = InboundCapture::AllExcept(excluded.to_vec());
    let ranges = Family::ALL.map(|family| far_address(family).into());
    interception.exclude_outbound_ranges = ranges.to_vec();
    interception.dns = DnsCapture::All;
    interception
}

fn arriving(family: Family, mode: &str) -> Vec<Row> {
    let row = |story, protocol, port, ends| Row {
        story,
        origin: Peer,
        protocol,
        sender: Sender::APP,
        source: Some(Link::ETH0.other(family)),
        to: SocketAddr::new(Link::ETH0.own(family), port),
        ends: (Pod, ends),
    };
    // The exception for the tunnel port is in nat only, which TPROXY bypasses.
    let tunnel = if mode == "TPROXY" { 15006 } else { 15008 };
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

fn leaving(family: Family) -> Vec<Row> {
    let row = |(story, protocol, sender, to, ends): Leaving| Row {
        story,
        origin: Pod,
        protocol,
        sender,
        source: None,
        to: to.into(),
        ends,
    };
    let own = (Link::ETH0.own(family), 9080);
    let passed_on = Row {
        source: Some(inbound_passthrough(family).ip()),
        ..row((
            "passed on by the proxy",
            Tcp,
            Sender::PROXY,
            own,
            (Pod, 9080),
        ))
    };
    let rows = of_application(family).into_iter().chain(of_proxy(family));
    rows.map(row).chain([passed_on]).collect()
}

fn follow(world: &mut PodGuestNet, row: &Row, mode: &str, what: &str) {
    let any = any_address(Family::of_address(row.to.ip()));
    let opening = Probe {
        sender: row.sender,
        source: SocketAddr::new(row.source.unwrap_or(any), 0),
        interface: None,
        to: row.to,
    };
    let what = format!("{}: {what}", row.story);
    let met = world.send(row.origin, row.protocol, opening, true);
    let met = met.expect(&what);
    assert_eq!((met.side, met.port), row.ends, "{what}");
    if let Some(ends) = met.connection {
        assert_eq!(ends.original, row.to, "{what}");
        if mode == "TPROXY" && row.origin == Peer {
            assert_eq!((ends.local, Some(met.from)), (row.to, row.source), "{what}");
        }
    }
}

fn follow_all(world: &mut PodGuestNet, rules: &[RuleSet], backend: Backend, mode: &str) {
    let choice = BackendChoice::Only(backend);
    apply(&world.pod, &xtables(), choice, Mesh::Istio, rules).unwrap();
    for rules in rules {
        let family = rules.family;
        let what = format!("{mode} by {backend}\n{}", render::restore(rules));
        for row in arriving(family, mode).iter().chain(&leaving(family)) {
            follow(world, row, mode, &what);
        }
    }
    remove(&world.pod, &xtables(), choice, Mesh::Istio).unwrap();
}

#[test]
fn every_row_arrives_where_the_specification_says() {
    let mut world = PodGuestNet::new();
    world.resolve_as(Sender::PROXY);
    for backend in Backend::ALL {
        for mode in ["REDIRECT", "TPROXY"] {
            for dialect in [Dialect::Asm, Dialect::Istio] {
                let settings = settings(mode);
                let rules = Family::ALL.map(|family| compile(&settings, dialect, family));
                follow_all(&mut world, &rules, backend, mode);
            }
        }
    }
}
