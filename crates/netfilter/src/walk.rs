//! The packet walk: which rules a packet traverses, why each matches or not, and where the packet
//! ends.
//!
//! A [`Packet`] arrives through an interface or is sent by a local process. [`walk`] takes it
//! through the hooks in the kernel's order and returns a [`Walk`]: the [`Step`]s and the
//! [`Outcome`]. It depends only on the rules, the packet and the addresses of the network namespace
//! ([`NetnsAddresses`]), not on the machine. So it predicts what planned rules will do, and
//! explains what the rules that were read from a kernel do now.
//!
//! # The kernel's order
//!
//! The priorities of `linux/netfilter_ipv4.h` (`linux/netfilter_ipv6.h` has the same) give the
//! order of the tables at each hook: raw −300, connection tracking −200, mangle −150, nat for
//! destinations −100, filter 0, nat for sources 100.
//!
//! | hook | in order |
//! |---|---|
//! | `PREROUTING` | raw, connection tracking, mangle, nat (destination) |
//! | `INPUT` | mangle, filter, nat (source) |
//! | `FORWARD` | mangle, filter |
//! | `OUTPUT` | raw, connection tracking, mangle, nat (destination), filter |
//! | `POSTROUTING` | mangle, nat (source) |
//!
//! A packet that leaves through `lo` after `OUTPUT` arrives again at `PREROUTING`, from `lo`. It
//! keeps its marks and its connection, and loses its socket: no owner matches there.
//!
//! # NAT happens once per connection
//!
//! The kernel decides NAT once for each side of a connection, with its first packet: the
//! destination at `PREROUTING` or `OUTPUT`, the source at `POSTROUTING` or `INPUT`. No translation
//! is a decision too. So the second pass over `lo` skips nat `PREROUTING` and nat `INPUT`, whatever
//! `OUTPUT` decided: a connection that `OUTPUT` redirected is not redirected again. Later packets
//! follow the recorded decision. The state `RELATED` begins a connection as `NEW` does.
//!
//! # Assumptions
//!
//! The packet is not a fragment. `TPROXY` finds its listener. The first packet of a connection
//! traversed the same rules as a later one. A packet for another address may be forwarded.

mod chain_stack;
mod condition;
mod counting;
mod display;
mod matched;
mod nat;
mod netns_addresses;
mod outcome;
mod packet;
mod packet_state;
mod packet_text;
mod simulation;
mod step;
mod tables;
mod target;

pub use counting::{Counted, PolicyCounters};
pub use display::{PortNames, WithPortNames};
pub use matched::Matched;
pub use netns_addresses::NetnsAddresses;
pub use outcome::{Location, Outcome, UndecidedReason};
pub use packet::{Direction, Owner, Packet, Side};
pub use packet_text::InvalidPacket;
pub use step::{Effect, Event, Mismatch, NatSkip, PacketValue, Pass, RuleResult, Step, Walk};

use crate::ruleset::RuleSet;
use simulation::Simulation;

/// Takes a packet through the rules of its family, in a namespace with the packet's own address.
///
/// The only local addresses are those in the packet (the destination of an arriving one or of one
/// that leaves through `lo`, the source of a sent one) and loopback. [`walk_in`] takes more. Rules of the other family do not apply.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::{Family, Packet, PortNames, parse, walk};
///
/// let saved = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n";
/// let rules = parse::save(saved, Family::V4)?;
/// let packet: Packet = "out tcp 10.0.0.7:9080 uid 1000".parse()?;
/// let names = PortNames(&[(15001, "the proxy")]);
/// assert_eq!(
///     walk(&rules, &packet).outcome.display(names).to_string(),
///     "goes to the proxy, original destination 10.0.0.7:9080"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn walk(rules: &RuleSet, packet: &Packet) -> Walk {
    walk_in(rules, packet, &NetnsAddresses::of(packet))
}

/// Takes a packet through the rules of its family, in a namespace with these addresses.
pub fn walk_in(rules: &RuleSet, packet: &Packet, addresses: &NetnsAddresses) -> Walk {
    Simulation::new(rules, packet, addresses).run()
}

/// Walks, and adds to the rules' counters what the kernel would add for this packet.
pub fn replay(
    rules: &mut RuleSet,
    packet: &Packet,
    addresses: &NetnsAddresses,
    policies: PolicyCounters,
) -> Walk {
    let walk = walk_in(rules, packet, addresses);
    walk.count(rules, 1, policies);
    walk
}
