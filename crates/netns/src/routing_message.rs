//! The messages of `NETLINK_ROUTE` that this crate sends and reads.
//!
//! Only these: the code for all messages of the library would be a tenth of the plugin.

use netlink_packet_core::{
    DecodeError, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, Parseable,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use nix::libc::{
    RTM_DELADDR, RTM_DELROUTE, RTM_DELRULE, RTM_GETADDR, RTM_GETRULE, RTM_NEWADDR, RTM_NEWROUTE,
    RTM_NEWRULE, RTM_SETLINK, ifinfomsg,
};

/// A request about interfaces, addresses, routes or rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    SetLinkUp(LinkUp),
    NewAddress(AddressMessage),
    DeleteAddress(AddressMessage),
    GetAddresses(AddressMessage),
    NewRoute(RouteMessage),
    DeleteRoute(RouteMessage),
    NewRule(RuleMessage),
    DeleteRule(RuleMessage),
    GetRules(RuleMessage),
}

/// Sets the interface with that index up: `struct ifinfomsg` of `linux/rtnetlink.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkUp(pub(crate) u32);

/// A message of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Rule(RuleMessage),
    /// Any other kind.
    Other,
}

/// `IFF_UP`, `linux/if.h`.
const IFF_UP: u32 = nix::libc::IFF_UP.cast_unsigned();

impl Request {
    fn content(&self) -> &dyn Emitable {
        match self {
            Self::SetLinkUp(link) => link,
            Self::NewAddress(address)
            | Self::DeleteAddress(address)
            | Self::GetAddresses(address) => address,
            Self::NewRoute(route) | Self::DeleteRoute(route) => route,
            Self::NewRule(rule) | Self::DeleteRule(rule) | Self::GetRules(rule) => rule,
        }
    }
}

impl Emitable for LinkUp {
    fn buffer_len(&self) -> usize {
        size_of::<ifinfomsg>()
    }

    fn emit(&self, buffer: &mut [u8]) {
        // Family, padding and type, then index, flags, and mask of the flags to change.
        let words = [0, self.0, IFF_UP, IFF_UP];
        for (place, word) in buffer.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        match self {
            Self::SetLinkUp(_) => RTM_SETLINK,
            Self::NewAddress(_) => RTM_NEWADDR,
            Self::DeleteAddress(_) => RTM_DELADDR,
            Self::GetAddresses(_) => RTM_GETADDR,
            Self::NewRoute(_) => RTM_NEWROUTE,
            Self::DeleteRoute(_) => RTM_DELROUTE,
            Self::NewRule(_) => RTM_NEWRULE,
            Self::DeleteRule(_) => RTM_DELRULE,
            Self::GetRules(_) => RTM_GETRULE,
        }
    }

    fn buffer_len(&self) -> usize {
        self.content().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        self.content().emit(buffer);
    }
}

impl NetlinkDeserializable for Answer {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        if header.message_type != RTM_NEWRULE {
            return Ok(Self::Other);
        }
        RuleMessage::parse(payload).map(Self::Rule)
    }
}

impl From<Request> for NetlinkPayload<Request> {
    fn from(request: Request) -> Self {
        Self::InnerMessage(request)
    }
}
