//! Random settings as the rules that they come to, and what their walks foretell.

use std::fmt::Write as _;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netfilter::value::{InterfaceName, network};
use mesh_cni_netfilter::walk::{Location, NetnsAddresses, Outcome, Walk, walk_in};
use mesh_cni_netfilter::{Packet, render};
use mesh_cni_netns::Backend;
use mesh_cni_rules::{Dialect, Interception, PORT_NAMES, compile, inbound_passthrough};
use mesh_cni_tests::{Link, Origin, Received, Sender, any_address};

use crate::errand::Errand;
use crate::random::Random;
use crate::settings;

/// One of a run's settings, as rules of both families.
pub(super) struct Case {
    pub(super) interception: Interception,
    dialect: Dialect,
    pub(super) backend: Backend,
    pub(super) rules: Vec<RuleSet>,
    host: NetnsAddresses,
}

impl Case {
    pub(super) fn random(random: &mut Random) -> Self {
        let interception = settings::random(random);
        let dialect = random.one(&[Dialect::Asm, Dialect::Istio]);
        let backend = random.one(&Backend::ALL);
        // A pod without an IPv6 address gets no IPv6 rules.
        let families = if random.once_in(8) { 1 } else { 2 };
        let families = Family::ALL[..families].iter();
        let rules = families.map(|family| compile(&interception, dialect, *family));
        let rules = rules.collect();
        Self {
            interception,
            dialect,
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

    /// Whether the pod has that address: `::6` comes and goes with IPv6 rules.
    pub(super) fn may_send(&self, from: IpAddr) -> bool {
        let passthrough = inbound_passthrough(Family::V6).ip();
        let mut rules = self.rules.iter();
        from != passthrough || rules.any(|rules| rules.family == Family::V6)
    }

    /// Who must meet the packet of that walk.
    pub(super) fn foretold(&self, walk: &Walk, errand: &Errand) -> Option<Received> {
        let told = foretold(walk, errand);
        told.filter(|_| self.is_answered(walk, errand))
    }

    /// Whether the answer to a connection that passes through the pod passes through it too: under
    /// TPROXY the pod keeps it for itself, and the connection never stands.
    fn is_answered(&self, walk: &Walk, errand: &Errand) -> bool {
        errand.answer(&walk.outcome).is_none_or(|answer| {
            let fate = self.walk(&answer).outcome;
            matches!(fate, Outcome::NotRedirected { location, .. } if location != Location::Local)
        })
    }

    /// As whom the proxy's resolver runs.
    pub(super) fn proxy(&self) -> Sender {
        Sender {
            user: self.interception.proxy_uids[0].0,
            group: self.interception.proxy_gids[0].0,
        }
    }

    /// Everything that is needed to understand a walk and to make a scenario of it.
    pub(super) fn story(&self, walk: &Walk) -> String {
        let (dialect, backend) = (self.dialect, self.backend);
        let mut story = format!("{dialect} by {backend}\n{:?}\n", self.interception);
        for rules in &self.rules {
            if rules.family == walk.packet.family() {
                story += &render::restore(rules);
            }
        }
        write!(story, "{}", walk.display(PORT_NAMES)).unwrap();
        story
    }
}

/// What a walk has to know of the pod of [`PodGuestNet`](mesh_cni_tests::PodGuestNet).
fn host() -> NetnsAddresses {
    let name = |name: &str| name.parse::<InterfaceName>().unwrap();
    let mut host = NetnsAddresses::new();
    for link in Link::ALL {
        let networks = Family::ALL.map(|family| link.own_network(family).parse().unwrap());
        host = host.with_interface(name(link.interface), networks.to_vec());
    }
    host.with_interface(name("lo"), vec![network("::6/128").unwrap()])
}

fn foretold(walk: &Walk, errand: &Errand) -> Option<Received> {
    let met = |side, port, original, local| Received {
        side,
        port,
        from: errand.source.unwrap_or(any_address(walk.packet.family())),
        connection: errand.ends(original, local),
    };
    match &walk.outcome {
        Outcome::Redirected { port, to, original } => {
            Some(met(Origin::Pod, port.get(), *original, *to))
        }
        Outcome::Tproxied {
            port,
            destination,
            original,
            ..
        } => Some(met(Origin::Pod, port.get(), *original, *destination)),
        Outcome::NotRedirected { to, location } => Some(met(side(location), to.port(), *to, *to)),
        no_arrival => {
            let dropped = matches!(no_arrival, Outcome::Dropped { .. });
            assert!(dropped, "the walk does not know: {no_arrival:?}\n{walk:?}");
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
