//! The address `::6` on the loopback interface: a sidecar binds to it when it passes on what came by
//! IPv6. Of 127.0.0.6, its like, every namespace has the whole network already.

use std::io;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_rules::inbound_passthrough;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use nix::errno::Errno;

use crate::policy_route::{LOOPBACK, unless};
use crate::routing_message::Request;
use crate::rtnetlink::Rtnetlink;

/// Whether a sidecar under these rules needs the address: some rule is for IPv6.
pub(crate) fn is_needed(wanted: &[RuleSet]) -> bool {
    let six = |rules: &RuleSet| rules.family == Family::V6 && !rules.tables.is_empty();
    wanted.iter().any(six)
}

/// Gives it to the loopback interface of the calling thread's namespace; one that is there stays.
///
/// Nobody else can have it there, so it is not looked for: until the kernel had done that, in its
/// own time, no sidecar could bind to it.
pub(crate) fn add() -> io::Result<()> {
    let mut message = address();
    message.header.flags |= AddressHeaderFlags::Nodad;
    let message = Request::NewAddress(message);
    let added = Rtnetlink::open()?.change(message, NLM_F_CREATE | NLM_F_EXCL);
    unless(Errno::EEXIST, added)
}

/// Takes it away; what is gone already is no error, nor is a kernel without IPv6.
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
