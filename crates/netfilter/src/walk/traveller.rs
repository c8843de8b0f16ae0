//! The packet under way: what the rules see of it now, and what they have written.

use std::net::SocketAddr;

use super::host::Host;
use super::packet::{Direction, EPHEMERAL_PORT, Owner, Packet};
use crate::ruleset::{BuiltinChain, ConntrackState, Family, Mark, Protocol};
use crate::value::{InterfaceName, Port};

/// A packet between its first hook and its end.
pub(super) struct Traveller {
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// What `-i` sees.
    pub(super) in_interface: Option<InterfaceName>,
    /// What `-o` sees.
    pub(super) out_interface: Option<InterfaceName>,
    pub(super) owner: Option<Owner>,
    pub(super) mark: u32,
    pub(super) connmark: u32,
    pub(super) zone: Option<u16>,
    /// The transparent listener that was assigned to it.
    pub(super) listener: Option<Port>,
    /// Where its destination was rewritten to.
    pub(super) translated: Option<SocketAddr>,
    state: ConntrackState,
    tracking: Tracking,
}

/// Whether the packet has met connection tracking.
enum Tracking {
    NotYet,
    Done,
}

impl Traveller {
    pub(super) fn new(packet: &Packet, host: &Host) -> Self {
        let destination = packet.destination;
        let (source, owner, in_interface, out_interface) = match packet.direction {
            Direction::In { source } => {
                let interface = packet.interface.clone();
                let interface = interface.unwrap_or_else(|| host.first_interface());
                (source, None, Some(interface), None)
            }
            Direction::Out { source, owner } => {
                let interface = packet.interface.clone();
                let exit = interface.unwrap_or_else(|| host.exit(destination.ip()));
                let source = source.unwrap_or_else(|| {
                    (host.source_for(destination.ip(), &exit), EPHEMERAL_PORT).into()
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
            tracking: Tracking::NotYet,
        }
    }

    /// Meets connection tracking.
    pub(super) fn track(&mut self) {
        self.tracking = Tracking::Done;
    }

    /// Whether it belongs to a connection, as far as the kernel knows at this point.
    pub(super) fn has_connection(&self) -> bool {
        match (&self.tracking, self.state) {
            (Tracking::NotYet, _) | (Tracking::Done, ConntrackState::Invalid) => false,
            (
                Tracking::Done,
                ConntrackState::New | ConntrackState::Related | ConntrackState::Established,
            ) => true,
        }
    }

    /// What `--ctstate` sees: a packet without a connection is INVALID, so in the raw table every
    /// one is at first.
    pub(super) fn seen_state(&self) -> ConntrackState {
        if self.has_connection() {
            self.state
        } else {
            ConntrackState::Invalid
        }
    }

    /// Writes a mark as `--set-xmark` and `--tproxy-mark` do: the mask's bits are cleared, then
    /// the value is added by exclusive or, beyond the mask too.
    pub(super) fn write_mark(&mut self, mark: Mark) {
        self.mark = (self.mark & !mark.mask) ^ mark.value;
    }

    /// Rewrites the destination.
    pub(super) fn translate(&mut self, to: SocketAddr) {
        self.destination = to;
        self.translated = Some(to);
    }

    /// Leaves by `lo` and arrives there: the socket is not to be seen any more.
    pub(super) fn come_in_over_loopback(&mut self) {
        self.owner = None;
        self.out_interface = None;
        self.in_interface = Some(InterfaceName::loopback());
    }

    /// Where `REDIRECT` sends it: to loopback at `OUTPUT`, else to the primary address of the
    /// interface by which it came. The interface without an address is the error.
    pub(super) fn redirection(
        &self,
        hook: BuiltinChain,
        port: Port,
        host: &Host,
    ) -> Result<SocketAddr, InterfaceName> {
        let family = Family::of_address(self.destination.ip());
        let came_by = match (hook, &self.in_interface) {
            (BuiltinChain::Prerouting, Some(interface)) => interface.clone(),
            _ => InterfaceName::loopback(),
        };
        let address = host.primary(&came_by, family).ok_or(came_by)?;
        Ok((address, port.get()).into())
    }
}
