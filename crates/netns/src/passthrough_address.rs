//! The address `::6` on the loopback interface: the source address of inbound IPv6 connections from
//! the sidecar to the application. For IPv4 that is 127.0.0.6, which every namespace has already.

use std::io;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_rules::{Mesh, inbound_passthrough, redirects, uses_passthrough};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use nix::errno::Errno;

use crate::policy_route::{LOOPBACK, unless};
use crate::routing_message::Request;
use crate::rtnetlink::Rtnetlink;

/// Whether these rules of the mesh need the address: some redirect IPv6.
pub(crate) fn is_needed(mesh: Mesh, wanted: &[RuleSet]) -> bool {
    let mut wanted = wanted.iter();
    uses_passthrough(mesh) && wanted.any(|rules| rules.family == Family::V6 && redirects(rules))
}

/// Adds it to the loopback interface of the calling thread's namespace, unless it exists.
///
/// Without duplicate address detection, which takes time before a process can bind to the address:
/// no other host is on the loopback interface.
pub(crate) fn add() -> io::Result<()> {
    let mut message = address();
    message.header.flags |= AddressHeaderFlags::Nodad;
    let message = Request::NewAddress(message);
    let added = Rtnetlink::open()?.change(message, NLM_F_CREATE | NLM_F_EXCL);
    unless(Errno::EEXIST, added)
}

/// Removes it, if it exists. A kernel without IPv6 is not an error.
pub(crate) fn remove() -> io::Result<()> {
    let message = Request::DeleteAddress(address());
    let removed = unless(Errno::EADDRNOTAVAIL, Rtnetlink::open()?.change(message, 0));
    unless(Errno::EOPNOTSUPP, removed)
}

fn address() -> AddressMessage {
    let network = inbound_passthrough(Family::V6);
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet6;
    message.header.prefix_len = network.prefix();
    message.header.scope = AddressScope::Universe;
    message.header.index = LOOPBACK;
    let ip: IpAddr = network.ip();
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    message
}
