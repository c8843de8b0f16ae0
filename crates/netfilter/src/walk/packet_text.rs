//! A packet as text: `out tcp 10.0.0.7:9080 uid 1000`.

mod options;
mod tokens;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;

use super::packet::{Direction, Owner, Packet, Side};
use crate::ruleset::{ConntrackState, Protocol};
use options::Options;
use tokens::Tokens;

/// A text that is not a valid packet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} at position {position} is not {expected}", described(found))]
#[non_exhaustive]
pub struct InvalidPacket {
    /// Where the invalid word begins, in characters from 1; after the text if a word is missing.
    pub position: usize,
    /// The invalid word; empty if a word is missing.
    pub found: String,
    /// What is valid there.
    pub expected: &'static str,
}

const DIRECTION: &str = "a direction: allowed are in and out";
const PROTOCOL: &str = "a protocol: allowed are tcp and udp";
const DESTINATION: &str =
    "a destination: allowed are ADDRESS:PORT with a port from 1, IPv6 addresses in brackets";

impl FromStr for Packet {
    type Err = InvalidPacket;

    /// Parses a packet.
    ///
    /// ```text
    /// PACKET    = ("in" | "out") ("tcp" | "udp") ADDRESS:PORT {OPTION}
    /// OPTION    = "from" ADDRESS[:PORT]     the source; required for "in", default port 32768
    ///           | "iface" NAME              the interface; by default the one of the route
    ///           | "uid" N | "gid" N         the sender, only for "out"; the default group has the
    ///                                       number of the user
    ///           | "mark" N | "connmark" N   decimal, or hexadecimal after 0x
    ///           | "state" ("new" | "established" | "related" | "invalid")
    ///           | "reply"                   in the other direction than the first packet
    ///           | "size" BYTES              by default 60 over IPv4 and 80 over IPv6
    /// ```
    ///
    /// IPv6 addresses with a port need brackets. Words are separated by spaces. Options may come in
    /// any order, each at most once.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_cni_netfilter::Packet;
    ///
    /// let packet: Packet = "in tcp [fd00::2]:9080 from fd00::9 iface eth0".parse()?;
    /// assert_eq!(packet.to_string(), "in tcp [fd00::2]:9080 from [fd00::9]:32768 iface eth0");
    ///
    /// let error = "out tcp 10.0.0.7 uid 1000".parse::<Packet>().unwrap_err();
    /// assert_eq!((error.position, error.found.as_str()), (9, "10.0.0.7"));
    /// # Ok::<(), mesh_cni_netfilter::walk::InvalidPacket>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, InvalidPacket> {
        let mut tokens = Tokens::new(text);
        let way = tokens.parse(DIRECTION, way)?;
        let protocol = tokens.parse(PROTOCOL, protocol)?;
        let destination = tokens.parse(DESTINATION, destination)?;
        let mut options = Options::default();
        while !tokens.is_empty() {
            options.parse(way, destination, &mut tokens)?;
        }
        options.packet(way, protocol, destination, &tokens)
    }
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

fn described(found: &str) -> String {
    match found {
        "" => "the end of the text".to_owned(),
        word => format!("`{word}`"),
    }
}

fn way(word: &str) -> Option<Way> {
    match word {
        "in" => Some(Way::In),
        "out" => Some(Way::Out),
        _ => None,
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    let mut known = [Protocol::Tcp, Protocol::Udp].into_iter();
    known.find(|protocol| protocol.as_str() == word)
}

fn destination(word: &str) -> Option<SocketAddr> {
    let address: SocketAddr = word.parse().ok()?;
    (address.port() != 0).then_some(address)
}

impl fmt::Display for Packet {
    /// The text that parses as this packet, without defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, source, owner) = match self.direction {
            Direction::In { source } => ("in", Some(source), None),
            Direction::Out { source, owner } => ("out", source, owner),
        };
        write!(f, "{way} {} {}", self.protocol, self.destination)?;
        if let Some(source) = source {
            write!(f, " from {source}")?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " iface {interface}")?;
        }
        if let Some(Owner { uid, gid }) = owner {
            write!(f, " uid {uid}")?;
            if gid.0 != uid.0 {
                write!(f, " gid {gid}")?;
            }
        }
        for (name, mark) in [("mark", self.mark), ("connmark", self.connmark)] {
            if mark != 0 {
                write!(f, " {name} {mark}")?;
            }
        }
        if self.state != ConntrackState::New {
            write!(f, " state {}", self.state.as_str().to_ascii_lowercase())?;
        }
        match self.side {
            Side::Original => {}
            Side::Reply => f.write_str(" reply")?,
        }
        if self.bytes != Self::default_size(self.destination) {
            write!(f, " size {}", self.bytes)?;
        }
        Ok(())
    }
}
