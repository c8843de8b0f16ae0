//! The messages of `NETLINK_ROUTE` that are sent and read here.
//!
//! Of the many kinds that the library knows, these alone come into the program: the code for
//! all of them would be a tenth of the plugin.

use netlink_packet_core::{
    DecodeError, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, Parseable,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;

/// A request about interfaces, addresses, routes or rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    RaiseLink(LinkUp),
    NewAddress(AddressMessage),
    DeleteAddress(AddressMessage),
    NewRoute(RouteMessage),
    DeleteRoute(RouteMessage),
    NewRule(RuleMessage),
    DeleteRule(RuleMessage),
    GetRules(RuleMessage),
}

/// The wish that the interface of that number is up: `struct ifinfomsg` of `linux/rtnetlink.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkUp(pub(crate) u32);

/// What a dump holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Rule(RuleMessage),
    /// Of a kind that nothing here asks for.
    Other,
}

/// `IFF_UP`, `linux/if.h`.
const UP: u32 = 1;
/// `RTM_NEWRULE`, `linux/rtnetlink.h`.
const NEW_RULE: u16 = 32;

impl Request {
    fn content(&self) -> &dyn Emitable {
        match self {
            Self::RaiseLink(link) => link,
            Self::NewAddress(address) | Self::DeleteAddress(address) => address,
            Self::NewRoute(route) | Self::DeleteRoute(route) => route,
            Self::NewRule(rule) | Self::DeleteRule(rule) | Self::GetRules(rule) => rule,
        }
    }
}

impl Emitable for LinkUp {
    fn buffer_len(&self) -> usize {
        16
    }

    fn emit(&self, buffer: &mut [u8]) {
        // Family, padding and type, then the index, the flags, and which of the flags are meant.
        let words = [0, self.0, UP, UP];
        for (place, word) in buffer.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }
}

impl NetlinkSerializable for Request {
    /// `RTM_*` of `linux/rtnetlink.h`.
    fn message_type(&self) -> u16 {
        match self {
            Self::RaiseLink(_) => 19,
            Self::NewAddress(_) => 20,
            Self::DeleteAddress(_) => 21,
            Self::NewRoute(_) => 24,
            Self::DeleteRoute(_) => 25,
            Self::NewRule(_) => NEW_RULE,
            Self::DeleteRule(_) => 33,
            Self::GetRules(_) => 34,
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
        if header.message_type != NEW_RULE {
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
