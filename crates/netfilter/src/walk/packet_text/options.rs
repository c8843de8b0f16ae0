//! What may be said of a packet behind its destination.

use std::net::{IpAddr, SocketAddr};

use super::words::{Words, invalid};
use super::{InvalidPacket, Way};
use crate::ruleset::{ConntrackState, Protocol};
use crate::value::{Gid, InterfaceName, Uid};
use crate::walk::packet::{Direction, EPHEMERAL_PORT, Owner, Packet, Side};

const SOURCE: &str = "a source: allowed are ADDRESS and ADDRESS:PORT, IPv6 addresses in brackets";
const SAME_FAMILY: &str = "a source of the destination's family";
const INTERFACE: &str = InterfaceName::EXPECTED;
const MARK: &str = "a mark: allowed are numbers from 0 to 4294967295, 0x before hexadecimal ones";
const STATE: &str = "a state: allowed are new, established, related and invalid";
const SIZE: &str = "a size in bytes: allowed are whole numbers";
const IN_OPTION: &str = "an option of an arriving packet, each once: allowed are from, iface, \
    mark, connmark, state, reply and size";
const OUT_OPTION: &str = "an option of a sent packet, each once: allowed are from, iface, uid, \
    gid, mark, connmark, state, reply and size";
const NEEDS_SOURCE: &str = "`from ADDRESS`, which an arriving packet needs";
const NEEDS_USER: &str = "`uid N`, which a packet with a gid needs";

#[derive(Default)]
pub(super) struct Options {
    source: Option<SocketAddr>,
    interface: Option<InterfaceName>,
    uid: Option<Uid>,
    gid: Option<Gid>,
    mark: Option<u32>,
    connmark: Option<u32>,
    state: Option<ConntrackState>,
    reply: Option<Side>,
    bytes: Option<u64>,
}

impl Options {
    pub(super) fn read(
        &mut self,
        way: Way,
        destination: SocketAddr,
        words: &mut Words<'_>,
    ) -> Result<(), InvalidPacket> {
        let (position, name) = words.next_position();
        let expected = match way {
            Way::In => IN_OPTION,
            Way::Out => OUT_OPTION,
        };
        let option = words.read(expected, Some)?;
        let fresh = match (option, way) {
            ("from", _) => {
                let (position, word) = words.next_position();
                let source = words.read(SOURCE, source)?;
                if source.is_ipv4() != destination.is_ipv4() {
                    return Err(invalid(position, word, SAME_FAMILY));
                }
                self.source.replace(source).is_none()
            }
            ("iface", _) => {
                let interface = words.read(INTERFACE, interface)?;
                self.interface.replace(interface).is_none()
            }
            ("uid", Way::Out) => {
                let uid = words.read(Uid::EXPECTED, Uid::parse)?;
                self.uid.replace(uid).is_none()
            }
            ("gid", Way::Out) => {
                let gid = words.read(Gid::EXPECTED, Gid::parse)?;
                self.gid.replace(gid).is_none()
            }
            ("mark", _) => self.mark.replace(words.read(MARK, mark)?).is_none(),
            ("connmark", _) => self.connmark.replace(words.read(MARK, mark)?).is_none(),
            ("state", _) => self.state.replace(words.read(STATE, state)?).is_none(),
            ("reply", _) => self.reply.replace(Side::Reply).is_none(),
            ("size", _) => self.bytes.replace(words.read(SIZE, size)?).is_none(),
            (_, _) => false,
        };
        if fresh {
            Ok(())
        } else {
            Err(invalid(position, name, expected))
        }
    }

    pub(super) fn packet(
        self,
        way: Way,
        protocol: Protocol,
        destination: SocketAddr,
        words: &Words<'_>,
    ) -> Result<Packet, InvalidPacket> {
        let direction = match way {
            Way::In => Direction::In {
                source: self.source.ok_or_else(|| words.missing(NEEDS_SOURCE))?,
            },
            Way::Out => Direction::Out {
                source: self.source,
                owner: owner(self.uid, self.gid).ok_or_else(|| words.missing(NEEDS_USER))?,
            },
        };
        let mut packet = Packet::first(direction, protocol, destination);
        packet.interface = self.interface;
        packet.mark = self.mark.unwrap_or(packet.mark);
        packet.connmark = self.connmark.unwrap_or(packet.connmark);
        packet.state = self.state.unwrap_or(packet.state);
        packet.side = self.reply.unwrap_or(packet.side);
        packet.bytes = self.bytes.unwrap_or(packet.bytes);
        Ok(packet)
    }
}

/// The sender; nothing where a group stands without its user.
#[expect(
    clippy::option_option,
    reason = "no sender is an answer, a group alone is none"
)]
fn owner(uid: Option<Uid>, gid: Option<Gid>) -> Option<Option<Owner>> {
    match (uid, gid) {
        (None, None) => Some(None),
        (Some(uid), gid) => {
            let gid = gid.unwrap_or(Gid(uid.0));
            Some(Some(Owner { uid, gid }))
        }
        (None, Some(_)) => None,
    }
}

fn source(word: &str) -> Option<SocketAddr> {
    let bracketed = word
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let alone: Result<IpAddr, _> = bracketed.unwrap_or(word).parse();
    match alone {
        Ok(address) => Some((address, EPHEMERAL_PORT).into()),
        Err(_) => word.parse().ok(),
    }
}

/// A name, not a pattern of names.
fn interface(word: &str) -> Option<InterfaceName> {
    InterfaceName::parse(word).filter(|name| !name.as_str().ends_with('+'))
}

fn mark(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => unsigned(digits, 16),
        None => unsigned(word, 10),
    }
}

fn unsigned(digits: &str, radix: u32) -> Option<u32> {
    let plain = digits.chars().all(|digit| digit.is_digit(radix));
    plain
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

fn size(word: &str) -> Option<u64> {
    let plain = word.chars().all(|digit| digit.is_ascii_digit());
    plain.then(|| word.parse().ok()).flatten()
}

fn state(word: &str) -> Option<ConntrackState> {
    let mut known = ConntrackState::ALL.into_iter();
    known.find(|state| state.as_str().to_ascii_lowercase() == word)
}
