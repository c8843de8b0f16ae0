//! Random settings with their rules, and the expected results of their walks.

use std::fmt::Write as _;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::value::{InterfaceName, network};
use mesh_cni_netfilter::walk::{Location, NetnsAddresses, Outcome, Walk, walk_in};
use mesh_cni_netfilter::{Packet, render};
use mesh_cni_netns::Backend;
use mesh_cni_rules::{
    Interception, Mesh, inbound_passthrough, port_names, redirects, reject_ipv6, uses_passthrough,
};
use mesh_cni_tests::{Link, Origin, Received, Sender, any_address};

use crate::random::Random;
use crate::settings;
use crate::test_packet::TestPacket;

/// One of a run's settings, with the rules of both families.
pub(super) struct Case {
    pub(super) interception: Interception,
    pub(super) backend: Backend,
    pub(super) rules: Vec<RuleSet>,
    host: NetnsAddresses,
}

impl Case {
    pub(super) fn random(random: &mut Random) -> Self {
        let interception = settings::random(random);
        let backend = random.one(&Backend::ALL);
        // A pod without an IPv6 address gets no IPv6 rules.
        let families = if random.once_in(8) { 1 } else { 2 };
        let families = Family::ALL[..families].iter();
        let compiled = families.map(|family| interception.compile(*family));
        let mut rules: Vec<_> = compiled.collect();
        if rules.len() == 1 && random.once_in(2) {
            rules.push(reject_ipv6());
        }
        Self {
            interception,
            backend,
            rules,
            host: host(),
        }
    }

    pub(super) fn walk(&self, packet: &Packet) -> Walk {
        let mut rules = self.rules.iter();
        let of_family = rules.find(|rules| rules.family == packet.family());
        let none = RuleSet::new(packet.family());
        walk_in(of_family.unwrap_or(&none), packet, &self.host)
    }

    /// Whether the pod has the address: it has `::6` only with IPv6 rules.
    pub(super) fn may_send(&self, from: IpAddr) -> bool {
        let passthrough = inbound_passthrough(Family::V6).ip();
        let mut rules = self.rules.iter();
        from != passthrough
            || uses_passthrough(self.mesh())
                && rules.any(|rules| rules.family == Family::V6 && redirects(rules))
    }

    /// The socket that must receive the packet of the walk, if any.
    pub(super) fn expected(&self, walk: &Walk, packet: &TestPacket) -> Option<Received> {
        let received = expected(walk, packet);
        received.filter(|_| self.is_answered(walk, packet))
    }

    /// Whether the answer to a connection through the pod also passes through it: with TPROXY the pod
    /// receives the answer itself, and the connection is never established.
    fn is_answered(&self, walk: &Walk, packet: &TestPacket) -> bool {
        packet.answer(&walk.outcome).is_none_or(|answer| {
            let outcome = self.walk(&answer).outcome;
            matches!(outcome, Outcome::NotRedirected { location, .. } if location != Location::Local)
        })
    }

    pub(super) fn mesh(&self) -> Mesh {
        self.interception.mesh()
    }

    /// The user and group of the proxy's resolver.
    pub(super) fn proxy(&self) -> Sender {
        let (user, group) = match &self.interception {
            Interception::Istio(of, _) => (of.proxy_uids[0].0, of.proxy_gids[0].0),
            Interception::Linkerd(of) => {
                let user = of.proxy_uid.map_or(0, |user| user.0);
                (user, of.proxy_gid.map_or(user, |group| group.0))
            }
            Interception::Kuma(of) => (of.proxy_uid.0, of.proxy_uid.0),
            // Its rules name no user: marks tell its packets.
            Interception::Ambient(_) => (0, 0),
        };
        Sender { user, group }
    }

    /// Describes a walk, with everything that a scenario for it needs.
    pub(super) fn describe(&self, walk: &Walk) -> String {
        let mut text = format!("by {}\n{:?}\n", self.backend, self.interception);
        for rules in &self.rules {
            if rules.family == walk.packet.family() {
                text += &render::restore(rules);
            }
        }
        write!(text, "{}", walk.display(port_names(self.mesh()))).unwrap();
        text
    }
}

/// The interfaces and addresses of the pod in [`PodGuestNet`](mesh_cni_tests::PodGuestNet).
fn host() -> NetnsAddresses {
    let name = |name: &str| name.parse::<InterfaceName>().unwrap();
    let mut host = NetnsAddresses::new();
    for link in Link::ALL {
        let networks = Family::ALL.map(|family| link.own_network(family).parse().unwrap());
        host = host.with_interface(name(link.interface), networks.to_vec());
    }
    host.with_interface(name("lo"), vec![network("::6/128").unwrap()])
}

fn expected(walk: &Walk, packet: &TestPacket) -> Option<Received> {
    let received = |side, port, original, local| Received {
        side,
        port,
        from: packet.source.unwrap_or(any_address(walk.packet.family())),
        connection: packet.destinations(original, local),
    };
    match &walk.outcome {
        Outcome::Redirected { port, to, original } => {
            Some(received(Origin::Pod, port.get(), *original, *to))
        }
        Outcome::Tproxied {
            port,
            destination,
            original,
            ..
        } => Some(received(Origin::Pod, port.get(), *original, *destination)),
        Outcome::NotRedirected { to, location } => {
            Some(received(side(location), to.port(), *to, *to))
        }
        other => {
            let dropped = matches!(other, Outcome::Dropped { .. } | Outcome::Rejected { .. });
            assert!(dropped, "the walk cannot determine it: {other:?}\n{walk:?}");
            None
        }
    }
}

fn side(location: &Location) -> Origin {
    match location {
        Location::Local => Origin::Pod,
        Location::Remote(name) if name.as_str() == Link::DOCKER0.interface => Origin::Guest,
        Location::Remote(_) => Origin::Peer,
    }
}
