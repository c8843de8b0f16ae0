//! The walk — one packet through typed rules: each rule it meets, why that matched or not, and
//! where the packet ends.
//!
//! A [`Packet`] comes in by an interface or is sent by a process of the pod. [`walk`] takes it
//! through the hooks in the kernel's order and gives back a [`Walk`]: the [`Step`]s and the
//! [`Fate`]. Nothing is asked of the machine: the rules, the packet and the pod's addresses
//! ([`Host`]) decide alone, so a walk through the rules of a manifest says what the rules will do,
//! and a walk through rules that were read back says what they do now.
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
//! A packet that `OUTPUT` leaves on `lo` arrives again at `PREROUTING`, from `lo`. It keeps its
//! marks and its connection, and loses its socket: no owner is seen there.
//!
//! # NAT, once a connection
//!
//! The kernel sets up NAT once for each connection and each side of it, with its first packet: the
//! destination at `PREROUTING` or `OUTPUT`, the source at `POSTROUTING` or `INPUT`. A chain that
//! says nothing counts as an answer too. So the second pass over `lo` meets neither nat
//! `PREROUTING` nor nat `INPUT`, whatever `OUTPUT` decided: a connection that `OUTPUT` redirected
//! to 15001 is not redirected again. Later packets follow what was recorded. The state `RELATED`
//! begins a connection as `NEW` does.
//!
//! # What a walk takes for granted
//!
//! The packet is complete and the first of its kind; `TPROXY` finds its listener; a later packet
//! belongs to a connection whose first one met the same rules; a packet that is not for this
//! namespace may pass through it.

mod condition;
mod counting;
mod fate;
mod frames;
mod host;
mod journey;
mod nat;
mod packet;
mod packet_text;
mod step;
mod tables;
mod target;
mod traveller;
mod words;

pub use counting::{Counted, PolicyCounters};
pub use fate::{Fate, Place, Unjudged};
pub use host::Host;
pub use packet::{Direction, Owner, Packet, Side};
pub use packet_text::InvalidPacket;
pub use step::{Effect, Event, Found, Mismatch, NatSkip, Outcome, Pass, Step, Walk};
pub use words::{Named, PortNames};

use crate::ruleset::RuleSet;
use journey::Journey;

/// Takes a packet through the rules of its family, in a pod of which only the packet is known.
///
/// The pod's addresses are what the packet itself tells: the destination of a packet that comes
/// in, the source of one that goes out, and loopback. Where more is known, [`walk_on`] takes it.
/// Rules of the other family are met by nothing.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::{Family, Packet, PortNames, parse, walk};
///
/// let saved = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n";
/// let rules = parse::save(saved, Family::V4)?;
/// let packet = Packet::parse("out tcp 10.0.0.7:9080 uid 1000")?;
/// let names = PortNames(&[(15001, "the proxy")]);
/// assert_eq!(
///     walk(&rules, &packet).fate.display(names).to_string(),
///     "goes to the proxy, original destination 10.0.0.7:9080"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn walk(rules: &RuleSet, packet: &Packet) -> Walk {
    walk_on(rules, packet, &Host::of(packet))
}

/// Takes a packet through the rules of its family, in a pod with these addresses.
pub fn walk_on(rules: &RuleSet, packet: &Packet, host: &Host) -> Walk {
    Journey::new(rules, packet, host).run()
}

/// Walks and counts: adds to the rules' counters what the kernel would add for this packet.
pub fn replay(rules: &mut RuleSet, packet: &Packet, host: &Host, policies: PolicyCounters) -> Walk {
    let walk = walk_on(rules, packet, host);
    walk.count(rules, 1, policies);
    walk
}
