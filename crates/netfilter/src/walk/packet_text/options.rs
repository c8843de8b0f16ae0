//! The options of a packet's text, after its destination.

use std::net::{IpAddr, SocketAddr};

use super::tokens::{Tokens, invalid};
use super::{InvalidPacket, Way};
use crate::ruleset::{ConntrackState, Protocol};
use crate::value::{Gid, InterfaceName, Uid};
use crate::walk::packet::{Direction, EPHEMERAL_PORT, Owner, Packet, Side};

const SOURCE: &str = "a source: allowed are ADDRESS and ADDRESS:PORT, IPv6 addresses in brackets";
const SAME_FAMILY: &str = "a source of the destination's family";
const MARK: &str = "a mark: allowed are numbers from 0 to 4294967295, hexadecimal ones after 0x";
const STATE: &str = "a state: allowed are new, established, related and invalid";
const SIZE: &str = "a size in bytes: allowed are whole numbers";
const IN_OPTION: &str = "an option of an arriving packet, each once: allowed are from, iface, \
    mark, connmark, state, reply and size";
const OUT_OPTION: &str = "an option of a sent packet, each once: allowed are from, iface, uid, \
    gid, mark, connmark, state, reply and size";
const NEEDS_SOURCE: &str = "`from ADDRESS`, which an arriving packet requires";
const NEEDS_USER: &str = "`uid N`, which a packet with a gid requires";

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
    pub(super) fn parse(
        &mut self,
        way: Way,
        destination: SocketAddr,
        tokens: &mut Tokens<'_>,
    ) -> Result<(), InvalidPacket> {
        let (position, name) = tokens.peek();
        let expected = match way {
            Way::In => IN_OPTION,
            Way::Out => OUT_OPTION,
        };
        let option = tokens.parse(expected, Some)?;
        let is_new = match (option, way) {
            ("from", _) => {
                let (position, word) = tokens.peek();
                let source = tokens.parse(SOURCE, source)?;
                if source.is_ipv4() != destination.is_ipv4() {
                    return Err(invalid(position, word, SAME_FAMILY));
                }
                self.source.replace(source).is_none()
            }
            ("iface", _) => {
                let interface = tokens.parse(InterfaceName::EXPECTED, interface)?;
                self.interface.replace(interface).is_none()
            }
            ("uid", Way::Out) => {
                let uid = tokens.parse(Uid::EXPECTED, |word| word.parse().ok())?;
                self.uid.replace(uid).is_none()
            }
            ("gid", Way::Out) => {
                let gid = tokens.parse(Gid::EXPECTED, |word| word.parse().ok())?;
                self.gid.replace(gid).is_none()
            }
            ("mark", _) => self.mark.replace(tokens.parse(MARK, mark)?).is_none(),
            ("connmark", _) => self.connmark.replace(tokens.parse(MARK, mark)?).is_none(),
            ("state", _) => self.state.replace(tokens.parse(STATE, state)?).is_none(),
            ("reply", _) => self.reply.replace(Side::Reply).is_none(),
            ("size", _) => self.bytes.replace(tokens.parse(SIZE, size)?).is_none(),
            (_, _) => false,
        };
        if is_new {
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
        tokens: &Tokens<'_>,
    ) -> Result<Packet, InvalidPacket> {
        let direction = match way {
            Way::In => Direction::In {
                source: self.source.ok_or_else(|| tokens.missing(NEEDS_SOURCE))?,
            },
            Way::Out => Direction::Out {
                source: self.source,
                owner: match (self.uid, self.gid) {
                    (None, None) => None,
                    (None, Some(_)) => return Err(tokens.missing(NEEDS_USER)),
                    (Some(uid), gid) => Some(Owner {
                        uid,
                        gid: gid.unwrap_or(Gid(uid.0)),
                    }),
                },
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

fn source(word: &str) -> Option<SocketAddr> {
    let bracketed = word
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed.unwrap_or(word).parse::<IpAddr>() {
        Ok(address) => Some((address, EPHEMERAL_PORT).into()),
        Err(_) => word.parse().ok(),
    }
}

/// A name, not a pattern of names.
fn interface(word: &str) -> Option<InterfaceName> {
    let name: InterfaceName = word.parse().ok()?;
    (!name.as_str().ends_with('+')).then_some(name)
}

fn mark(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(digits) => unsigned(digits, 16),
        None => unsigned(word, 10),
    }
}

/// Digits only: `from_str_radix` alone would also accept a leading `+`.
fn unsigned(digits: &str, radix: u32) -> Option<u32> {
    let is_plain = digits.chars().all(|digit| digit.is_digit(radix));
    u32::from_str_radix(digits, radix).ok().filter(|_| is_plain)
}

fn size(word: &str) -> Option<u64> {
    let is_plain = word.chars().all(|digit| digit.is_ascii_digit());
    word.parse().ok().filter(|_| is_plain)
}

fn state(word: &str) -> Option<ConntrackState> {
    let mut known = ConntrackState::ALL.into_iter();
    known.find(|state| state.as_str().to_ascii_lowercase() == word)
}
