//! The packet during a walk: what the rules match, and what they have changed.

use std::net::SocketAddr;

use super::netns_addresses::NetnsAddresses;
use super::packet::{Direction, EPHEMERAL_PORT, Owner, Packet, Side};
use crate::ruleset::{BuiltinChain, ConntrackState, Family, Mark, Protocol};
use crate::value::{InterfaceName, Port};

/// A packet between its first hook and its end.
pub(super) struct PacketState {
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// What `-i` matches.
    pub(super) in_interface: Option<InterfaceName>,
    /// What `-o` matches.
    pub(super) out_interface: Option<InterfaceName>,
    pub(super) owner: Option<Owner>,
    pub(super) mark: u32,
    pub(super) connmark: u32,
    pub(super) zone: Option<u16>,
    /// The transparent listener to which it was assigned.
    pub(super) listener: Option<Port>,
    /// The destination to which it was rewritten.
    pub(super) translated: Option<SocketAddr>,
    state: ConntrackState,
    side: Side,
    /// Whether it has passed connection tracking.
    is_tracked: bool,
}

impl PacketState {
    pub(super) fn new(packet: &Packet, addresses: &NetnsAddresses) -> Self {
        let destination = packet.destination;
        let interface = packet.interface.clone();
        let (source, owner, in_interface, out_interface) = match packet.direction {
            Direction::In { source } => {
                let interface = interface.unwrap_or_else(|| addresses.first_interface());
                (source, None, Some(interface), None)
            }
            Direction::Out { source, owner } => {
                let exit = interface.unwrap_or_else(|| addresses.exit(destination.ip()));
                let source = source.unwrap_or_else(|| {
                    let address = addresses.source_for(destination.ip(), &exit);
                    (address, EPHEMERAL_PORT).into()
                });
                (source, owner, None, Some(exit))
            }
        };
        Self {
            protocol: packet.protocol,
            source,
            destination,
            in_interface,
            out_interface,
            owner,
            mark: packet.mark,
            connmark: packet.connmark,
            zone: None,
            listener: None,
            translated: None,
            state: packet.state,
            side: packet.side,
            is_tracked: false,
        }
    }

    /// Passes connection tracking.
    pub(super) fn track(&mut self) {
        self.is_tracked = true;
    }

    /// Whether the kernel knows a connection of the packet at this point.
    pub(super) fn has_connection(&self) -> bool {
        self.is_tracked && self.state != ConntrackState::Invalid
    }

    /// What `--syn` matches: the first packet of a connection is a SYN, and no other is.
    pub(super) fn opens_tcp_connection(&self) -> bool {
        self.protocol == Protocol::Tcp
            && self.state == ConntrackState::New
            && self.side == Side::Original
    }

    /// What `--ctstate` matches: INVALID without a connection, so always before tracking.
    pub(super) fn conntrack_state(&self) -> ConntrackState {
        if self.has_connection() {
            self.state
        } else {
            ConntrackState::Invalid
        }
    }

    /// Sets the mark as `--set-xmark` and `--tproxy-mark` do.
    pub(super) fn set_mark(&mut self, mark: Mark) {
        self.mark = mark.written_to(self.mark);
    }

    /// Rewrites the destination.
    pub(super) fn translate(&mut self, to: SocketAddr) {
        self.destination = to;
        self.translated = Some(to);
    }

    /// Leaves through `lo` and arrives there, without its socket.
    pub(super) fn arrive_from_loopback(&mut self) {
        self.owner = None;
        self.out_interface = None;
        self.in_interface = Some(InterfaceName::loopback());
    }

    /// Where `REDIRECT` sends it: to loopback at `OUTPUT`, else to the primary address of the
    /// interface through which it arrived. Fails with that interface if it has no address.
    pub(super) fn redirect_destination(
        &self,
        hook: BuiltinChain,
        port: Port,
        addresses: &NetnsAddresses,
    ) -> Result<SocketAddr, InterfaceName> {
        let family = Family::of_address(self.destination.ip());
        let interface = match (hook, &self.in_interface) {
            (BuiltinChain::Prerouting, Some(interface)) => interface.clone(),
            _ => InterfaceName::loopback(),
        };
        let address = addresses.primary(&interface, family).ok_or(interface)?;
        Ok((address, port.get()).into())
    }
}
