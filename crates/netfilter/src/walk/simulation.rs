//! The way of a packet: hooks in the kernel's order, and tables at each hook.
//!
//! The order is that of `enum nf_ip_hook_priorities` in `linux/netfilter_ipv4.h`:
//! `NF_IP_PRI_RAW` −300, `NF_IP_PRI_CONNTRACK` −200, `NF_IP_PRI_MANGLE` −150,
//! `NF_IP_PRI_NAT_DST` −100, `NF_IP_PRI_FILTER` 0, `NF_IP_PRI_NAT_SRC` 100.

use super::nat::NatDecided;
use super::netns_addresses::NetnsAddresses;
use super::outcome::{Location, Outcome};
use super::packet::{Direction, Packet};
use super::packet_state::PacketState;
use super::step::{Pass, Step, Walk};
use crate::ruleset::{BuiltinChain, ConntrackState, RuleSet, TableName};
use crate::value::{InterfaceName, Port};

/// A walk in progress.
pub(super) struct Simulation<'walk> {
    pub(super) rules: &'walk RuleSet,
    pub(super) addresses: &'walk NetnsAddresses,
    /// The packet before any rule changed it.
    pub(super) first: &'walk Packet,
    pub(super) packet: PacketState,
    pub(super) pass: Pass,
    pub(super) steps: Vec<Step>,
    pub(super) rules_checked: usize,
    pub(super) nat_decided: NatDecided,
    /// The interface through which the packet will leave. At `OUTPUT`, `-o` matches the first
    /// choice, even after the packet was rerouted.
    exit: InterfaceName,
}

/// The packet does not continue.
pub(super) struct Ended(pub(super) Outcome);

impl<'walk> Simulation<'walk> {
    pub(super) fn new(
        rules: &'walk RuleSet,
        packet: &'walk Packet,
        addresses: &'walk NetnsAddresses,
    ) -> Self {
        let mut simulation = Self {
            rules,
            addresses,
            first: packet,
            packet: PacketState::new(packet, addresses),
            pass: Pass::First,
            steps: Vec::new(),
            rules_checked: 0,
            nat_decided: NatDecided::default(),
            exit: InterfaceName::loopback(),
        };
        if simulation.is_local_by_mark() && simulation.packet.out_interface.is_some() {
            simulation.packet.out_interface = Some(InterfaceName::loopback());
        }
        if let Some(exit) = &simulation.packet.out_interface {
            simulation.exit = exit.clone();
        }
        simulation
    }

    pub(super) fn run(mut self) -> Walk {
        let ended = match self.first.direction {
            Direction::In { .. } => self.arrive(),
            Direction::Out { .. } => self.send(),
        };
        Walk {
            packet: self.first.clone(),
            outcome: ended.unwrap_or_else(|Ended(outcome)| outcome),
            steps: self.steps,
            mark: self.packet.mark,
            connmark: self.packet.connmark,
            zone: self.packet.zone.unwrap_or(0),
            translated: self.packet.translated,
        }
    }

    /// The rules, if they are for the packet's family.
    pub(super) fn rules(&self) -> Option<&'walk RuleSet> {
        (self.rules.family == self.first.family()).then_some(self.rules)
    }

    /// From a process to an interface.
    fn send(&mut self) -> Result<Outcome, Ended> {
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

    /// The last hook for sent and forwarded packets.
    fn leave(&mut self) -> Result<Outcome, Ended> {
        self.packet.out_interface = Some(self.exit.clone());
        self.table(TableName::Mangle, BuiltinChain::Postrouting)?;
        self.nat(BuiltinChain::Postrouting)?;
        if self.exit == InterfaceName::loopback() {
            self.packet.arrive_from_loopback();
            self.pass = Pass::Loopback;
            return self.arrive();
        }
        Ok(Outcome::NotRedirected {
            to: self.packet.destination,
            location: Location::Remote(self.exit.clone()),
        })
    }

    /// From an interface to a socket, or on to another interface.
    fn arrive(&mut self) -> Result<Outcome, Ended> {
        let prerouting = BuiltinChain::Prerouting;
        self.table(TableName::Raw, prerouting)?;
        self.packet.track();
        self.table(TableName::Mangle, prerouting)?;
        self.nat(prerouting)?;
        if !self.is_local() {
            return self.forward();
        }
        self.table(TableName::Mangle, BuiltinChain::Input)?;
        self.table(TableName::Filter, BuiltinChain::Input)?;
        self.nat(BuiltinChain::Input)?;
        self.deliver()
    }

    fn forward(&mut self) -> Result<Outcome, Ended> {
        self.route();
        self.packet.out_interface = Some(self.exit.clone());
        self.table(TableName::Mangle, BuiltinChain::Forward)?;
        self.table(TableName::Filter, BuiltinChain::Forward)?;
        self.leave()
    }

    fn route(&mut self) {
        self.exit = if self.is_local_by_mark() {
            InterfaceName::loopback()
        } else {
            self.addresses.exit(self.packet.destination.ip())
        };
    }

    /// Whether the packet is for this namespace, by its destination or by policy routing.
    fn is_local(&self) -> bool {
        self.addresses.contain(self.packet.destination.ip()) || self.is_local_by_mark()
    }

    fn is_local_by_mark(&self) -> bool {
        let routing = self.rules().and_then(|rules| rules.routing);
        routing.is_some_and(|routing| routing.mark.matches(self.packet.mark))
    }

    /// Delivers to a transparent listener, else to the socket of the destination.
    fn deliver(&mut self) -> Result<Outcome, Ended> {
        let destination = self.packet.destination;
        if let Some(port) = self.listener()? {
            return Ok(Outcome::Tproxied {
                port,
                source: self.packet.source,
                destination,
                original: self.first.destination,
            });
        }
        let redirected = self.packet.translated.zip(Port::new(destination.port()));
        Ok(match redirected {
            Some((to, port)) => Outcome::Redirected {
                port,
                to,
                original: self.first.destination,
            },
            None => Outcome::NotRedirected {
                to: destination,
                location: Location::Local,
            },
        })
    }

    /// The transparent listener of the connection: the first packet of an established one was
    /// assigned to it.
    fn listener(&self) -> Result<Option<Port>, Ended> {
        if self.first.state == ConntrackState::Established
            && let Some(Outcome::Tproxied { port, .. }) = self.opening()?.map(|walk| walk.outcome)
        {
            return Ok(Some(port));
        }
        Ok(self.packet.listener)
    }
}
