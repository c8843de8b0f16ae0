//! A packet as text: `out tcp 10.0.0.7:9080 uid 1000`, read with the position of what is wrong.

mod options;
mod words;

use std::fmt;
use std::net::SocketAddr;

use thiserror::Error;

use super::packet::{Direction, Owner, Packet, Side};
use crate::ruleset::{ConntrackState, Protocol};
use options::Options;
use words::Words;

/// A text that is no packet, and where it stops being one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} at position {position} is not {expected}", described(found))]
#[non_exhaustive]
pub struct InvalidPacket {
    /// Where the wrong word begins, counted in characters from 1; behind the text where a word is
    /// missing.
    pub position: usize,
    /// The wrong word; empty where one is missing.
    pub found: String,
    /// What would be taken there.
    pub expected: &'static str,
}

const DIRECTION: &str = "a direction: allowed are in and out";
const PROTOCOL: &str = "a protocol: allowed are tcp and udp";
const DESTINATION: &str =
    "a destination: allowed are ADDRESS:PORT with a port from 1, IPv6 addresses in brackets";

impl Packet {
    /// Reads a packet.
    ///
    /// ```text
    /// PACKET    = ("in" | "out") ("tcp" | "udp") ADDRESS:PORT {OPTION}
    /// OPTION    = "from" ADDRESS[:PORT]     the source; needed by "in", port 32768 if not given
    ///           | "iface" NAME              the interface; the host's own choice if not given
    ///           | "uid" N | "gid" N         the sender, "out" only; the group is the user's number
    ///                                       if not given
    ///           | "mark" N | "connmark" N   decimal, or hexadecimal behind 0x
    ///           | "state" ("new" | "established" | "related" | "invalid")
    ///           | "reply"                   an answer, not the way of the first packet
    ///           | "size" BYTES              60 over IPv4 and 80 over IPv6 if not given
    /// ```
    ///
    /// IPv6 addresses with a port stand in brackets. Words are separated by blanks, options stand
    /// in any order, each at most once.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_cni_netfilter::Packet;
    ///
    /// let packet = Packet::parse("in tcp [fd00::2]:9080 from fd00::9 iface eth0")?;
    /// assert_eq!(packet.to_string(), "in tcp [fd00::2]:9080 from [fd00::9]:32768 iface eth0");
    ///
    /// let error = Packet::parse("out tcp 10.0.0.7 uid 1000").unwrap_err();
    /// assert_eq!((error.position, error.found.as_str()), (9, "10.0.0.7"));
    /// # Ok::<(), mesh_cni_netfilter::walk::InvalidPacket>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidPacket> {
        let mut words = Words::new(text);
        let way = words.read(DIRECTION, way)?;
        let protocol = words.read(PROTOCOL, protocol)?;
        let destination = words.read(DESTINATION, destination)?;
        let mut options = Options::default();
        while !words.is_done() {
            options.read(way, destination, &mut words)?;
        }
        options.packet(way, protocol, destination, &words)
    }
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

fn described(found: &str) -> String {
    match found {
        "" => "the end".to_owned(),
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
    /// The text that [`Packet::parse`] reads as this packet; what it would assume is left out.
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
        if self.bytes != Self::usual_size(self.destination) {
            write!(f, " size {}", self.bytes)?;
        }
        Ok(())
    }
}
