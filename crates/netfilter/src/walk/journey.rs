//! The way of a packet: hooks in the kernel's order, and tables at each hook.
//!
//! The order is that of `enum nf_ip_hook_priorities` in `linux/netfilter_ipv4.h`:
//! `NF_IP_PRI_RAW` −300, `NF_IP_PRI_CONNTRACK` −200, `NF_IP_PRI_MANGLE` −150,
//! `NF_IP_PRI_NAT_DST` −100, `NF_IP_PRI_FILTER` 0, `NF_IP_PRI_NAT_SRC` 100.

use super::fate::{Fate, Place};
use super::host::Host;
use super::nat::Settled;
use super::packet::{Direction, Packet};
use super::step::{Pass, Step, Walk};
use super::traveller::Traveller;
use crate::ruleset::{BuiltinChain, ConntrackState, RuleSet, TableName};
use crate::value::{InterfaceName, Port};

/// A walk that is not over yet.
pub(super) struct Journey<'walk> {
    pub(super) rules: &'walk RuleSet,
    pub(super) host: &'walk Host,
    /// The packet as it was at first.
    pub(super) first: &'walk Packet,
    pub(super) packet: Traveller,
    pub(super) pass: Pass,
    pub(super) steps: Vec<Step>,
    pub(super) rules_met: usize,
    pub(super) settled: Settled,
    /// By which interface the packet will leave; what `-o` sees at `OUTPUT` is the first choice,
    /// even after the packet was routed again.
    exit: InterfaceName,
}

/// The fate of a packet that does not go on.
pub(super) struct Stopped(pub(super) Fate);

impl<'walk> Journey<'walk> {
    pub(super) fn new(rules: &'walk RuleSet, packet: &'walk Packet, host: &'walk Host) -> Self {
        let mut journey = Self {
            rules,
            host,
            first: packet,
            packet: Traveller::new(packet, host),
            pass: Pass::First,
            steps: Vec::new(),
            rules_met: 0,
            settled: Settled::default(),
            exit: InterfaceName::loopback(),
        };
        if journey.is_kept_by_mark() && journey.packet.out_interface.is_some() {
            journey.packet.out_interface = Some(InterfaceName::loopback());
        }
        if let Some(exit) = &journey.packet.out_interface {
            journey.exit = exit.clone();
        }
        journey
    }

    pub(super) fn run(mut self) -> Walk {
        let end = match self.first.direction {
            Direction::In { .. } => self.arrive(),
            Direction::Out { .. } => self.send(),
        };
        let fate = end.unwrap_or_else(|Stopped(fate)| fate);
        Walk {
            packet: self.first.clone(),
            steps: self.steps,
            fate,
            mark: self.packet.mark,
            connmark: self.packet.connmark,
            zone: self.packet.zone.unwrap_or(0),
            translated: self.packet.translated,
        }
    }

    /// The rules that the packet meets: none where they are for the other family.
    pub(super) fn rules(&self) -> Option<&'walk RuleSet> {
        (self.rules.family == self.first.family()).then_some(self.rules)
    }

    /// From a process to the wire, or to `lo`.
    fn send(&mut self) -> Result<Fate, Stopped> {
        let output = BuiltinChain::Output;
        self.table(TableName::Raw, output)?;
        self.packet.track();
        self.table(TableName::Mangle, output)?;
        if self.packet.mark != self.first.mark {
            self.route();
        }
        self.nat(output)?;
        if self.packet.destination != self.first.destination {
            self.route();
        }
        self.table(TableName::Filter, output)?;
        self.leave()
    }

    /// What sent and forwarded packets have in common: the last hook, and the interface.
    fn leave(&mut self) -> Result<Fate, Stopped> {
        self.packet.out_interface = Some(self.exit.clone());
        self.table(TableName::Mangle, BuiltinChain::Postrouting)?;
        self.nat(BuiltinChain::Postrouting)?;
        if self.exit == InterfaceName::loopback() {
            self.packet.come_in_over_loopback();
            self.pass = Pass::Loopback;
            return self.arrive();
        }
        Ok(Fate::AsAddressed {
            to: self.packet.destination,
            place: Place::Beyond(self.exit.clone()),
        })
    }

    /// From an interface to a socket, or on to another interface.
    fn arrive(&mut self) -> Result<Fate, Stopped> {
        let prerouting = BuiltinChain::Prerouting;
        self.table(TableName::Raw, prerouting)?;
        self.packet.track();
        self.table(TableName::Mangle, prerouting)?;
        self.nat(prerouting)?;
        if !self.is_kept() {
            return self.forward();
        }
        self.table(TableName::Mangle, BuiltinChain::Input)?;
        self.table(TableName::Filter, BuiltinChain::Input)?;
        self.nat(BuiltinChain::Input)?;
        self.delivered()
    }

    fn forward(&mut self) -> Result<Fate, Stopped> {
        self.route();
        self.packet.out_interface = Some(self.exit.clone());
        self.table(TableName::Mangle, BuiltinChain::Forward)?;
        self.table(TableName::Filter, BuiltinChain::Forward)?;
        self.leave()
    }

    fn route(&mut self) {
        self.exit = if self.is_kept_by_mark() {
            InterfaceName::loopback()
        } else {
            self.host.exit(self.packet.destination.ip())
        };
    }

    /// Whether the packet is for this namespace, by its destination or by policy routing.
    fn is_kept(&self) -> bool {
        self.host.has(self.packet.destination.ip()) || self.is_kept_by_mark()
    }

    fn is_kept_by_mark(&self) -> bool {
        let routing = self.rules().and_then(|rules| rules.routing);
        routing.is_some_and(|routing| routing.mark == self.packet.mark)
    }

    /// Who gets the packet: a transparent listener, the one to which it was redirected, or the
    /// one to which it was addressed.
    fn delivered(&mut self) -> Result<Fate, Stopped> {
        let destination = self.packet.destination;
        if let Some(port) = self.listener()? {
            return Ok(Fate::Tproxied {
                port,
                source: self.packet.source,
                destination,
                original: self.first.destination,
            });
        }
        let redirected = self.packet.translated.zip(Port::new(destination.port()));
        Ok(match redirected {
            Some((to, port)) => Fate::RedirectedTo {
                port,
                to,
                original: self.first.destination,
            },
            None => Fate::AsAddressed {
                to: destination,
                place: Place::Here,
            },
        })
    }

    /// The transparent listener that has the connection; it took the first packet.
    fn listener(&self) -> Result<Option<Port>, Stopped> {
        match self.first.state {
            ConntrackState::Established => {}
            ConntrackState::New | ConntrackState::Related | ConntrackState::Invalid => {
                return Ok(self.packet.listener);
            }
        }
        match self.opening()?.map(|walk| walk.fate) {
            Some(Fate::Tproxied { port, .. }) => Ok(Some(port)),
            Some(
                Fate::RedirectedTo { .. }
                | Fate::AsAddressed { .. }
                | Fate::Dropped { .. }
                | Fate::Undecided { .. },
            )
            | None => Ok(self.packet.listener),
        }
    }
}
