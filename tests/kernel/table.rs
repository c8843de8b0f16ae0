//! What each mesh does with each kind of traffic, as real connections and datagrams: both families and
//! every back end.

mod istio;
mod kuma;
mod linkerd;

use std::net::{IpAddr, SocketAddr};

use mesh_cni_netfilter::render;
use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::{Backend, BackendChoice, apply, remove};
use mesh_cni_rules::{Interception, inbound_passthrough};
use mesh_cni_tests::{Link, Origin, PodGuestNet, Probe, Sender, any_address};

use crate::traffic::xtables;
use Origin::{Guest, Peer, Pod};

/// A row: what is sent, and which listener receives it on which port.
struct Row {
    story: &'static str,
    origin: Origin,
    protocol: Protocol,
    sender: Sender,
    /// The source address; without one the kernel chooses.
    source: Option<IpAddr>,
    to: SocketAddr,
    ends: (Origin, u16),
    /// Whether the listener receives the connection with its own destination and source, as with TPROXY.
    is_transparent: bool,
}

impl Row {
    /// To the pod's end of a link, from the other end.
    fn arriving(
        story: &'static str,
        protocol: Protocol,
        (link, family): (Link, Family),
        port: u16,
        ends: u16,
    ) -> Self {
        Self {
            story,
            origin: Peer,
            protocol,
            sender: Sender::APP,
            source: Some(link.other(family)),
            to: SocketAddr::new(link.own(family), port),
            ends: (Pod, ends),
            is_transparent: false,
        }
    }

    fn leaving(
        story: &'static str,
        protocol: Protocol,
        sender: Sender,
        to: (IpAddr, u16),
        ends: (Origin, u16),
    ) -> Self {
        Self {
            story,
            origin: Pod,
            protocol,
            sender,
            source: None,
            to: to.into(),
            ends,
            is_transparent: false,
        }
    }

    /// From the proxy to the application, with the source address that marks its own connections.
    fn passed_on(proxy: Sender, family: Family) -> Self {
        let own = (Link::ETH0.own(family), 9080);
        let to_application = Self::leaving(
            "passed on by the proxy",
            Protocol::Tcp,
            proxy,
            own,
            (Pod, 9080),
        );
        Self {
            source: Some(inbound_passthrough(family).ip()),
            ..to_application
        }
    }

    /// From a guest in the pod to the peer.
    fn of_guest(story: &'static str, family: Family, port: u16, ends: (Origin, u16)) -> Self {
        let link = Link::DOCKER0;
        Self {
            story,
            origin: Guest,
            protocol: Protocol::Tcp,
            sender: Sender::APP,
            source: Some(link.other(family)),
            to: SocketAddr::new(Link::ETH0.other(family), port),
            ends,
            is_transparent: false,
        }
    }
}

fn follow(world: &mut PodGuestNet, row: &Row, what: &str) {
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
        if row.is_transparent {
            assert_eq!((ends.local, Some(met.from)), (row.to, row.source), "{what}");
        }
    }
}

/// Sends each row's packet of each family with the rules of that interception.
fn follow_all(
    world: &mut PodGuestNet,
    interception: &Interception,
    backend: Backend,
    rows: impl Fn(Family) -> Vec<Row>,
) {
    let choice = BackendChoice::Only(backend);
    let mesh = interception.mesh();
    let rules = Family::ALL.map(|family| interception.compile(family));
    apply(&world.pod, &xtables(), choice, mesh, &rules).unwrap();
    for rules in &rules {
        let what = format!("{mesh} by {backend}\n{}", render::restore(rules));
        for row in rows(rules.family) {
            follow(world, &row, &what);
        }
    }
    remove(&world.pod, &xtables(), choice, mesh).unwrap();
}
