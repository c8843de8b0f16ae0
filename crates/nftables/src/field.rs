//! Fields of a packet that rules compare, and the expression that loads each.

use mesh_cni_netfilter::ruleset::Family;

use crate::expression::{CtKey, Expression, MetaKey, PayloadBase, Register};

/// A field of a packet, or a property of its connection or its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    InInterface,
    OutInterface,
    Protocol,
    Mark,
    Connmark,
    ConntrackState,
    SocketUid,
    SocketGid,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    TcpFlags,
    Icmpv6Type,
}

impl Field {
    const ALL: [Self; 14] = [
        Self::InInterface,
        Self::OutInterface,
        Self::Protocol,
        Self::Mark,
        Self::Connmark,
        Self::ConntrackState,
        Self::SocketUid,
        Self::SocketGid,
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::TcpFlags,
        Self::Icmpv6Type,
    ];

    /// The expression that loads the whole field into the first register.
    pub(crate) fn load(self, family: Family) -> Expression {
        let to = Register::ONE;
        let meta = |key| Expression::Meta { key, to };
        let ct = |key| Expression::Ct { key, to };
        let payload = |base, offset, length| Expression::Payload {
            base,
            offset,
            length,
            to,
        };
        // Offsets in `struct iphdr` and `struct ipv6hdr`.
        let address = |ipv4, ipv6| match family {
            Family::V4 => payload(PayloadBase::Network, ipv4, 4),
            Family::V6 => payload(PayloadBase::Network, ipv6, 16),
        };
        // The headers of TCP and UDP start with the ports.
        let transport = |offset, length| payload(PayloadBase::Transport, offset, length);
        match self {
            Self::InInterface => meta(MetaKey::InInterfaceName),
            Self::OutInterface => meta(MetaKey::OutInterfaceName),
            Self::Protocol => meta(MetaKey::TransportProtocol),
            Self::Mark => meta(MetaKey::Mark),
            Self::Connmark => ct(CtKey::Mark),
            Self::ConntrackState => ct(CtKey::State),
            Self::SocketUid => meta(MetaKey::SocketUid),
            Self::SocketGid => meta(MetaKey::SocketGid),
            Self::Source => address(12, 8),
            Self::Destination => address(16, 24),
            Self::SourcePort => transport(0, 2),
            Self::DestinationPort => transport(2, 2),
            // Offsets in `struct tcphdr` and `struct icmp6hdr`.
            Self::TcpFlags => transport(13, 1),
            Self::Icmpv6Type => transport(0, 1),
        }
    }

    /// The field that an expression loads, or the address whose first bytes it loads.
    pub(crate) fn loaded_by(expression: &Expression, family: Family) -> Option<Self> {
        use Expression::{Ct, Meta, Payload};
        Self::ALL
            .into_iter()
            .find(|field| match (&field.load(family), expression) {
                (Meta { key, .. }, Meta { key: loaded, .. }) => key == loaded,
                (Ct { key, .. }, Ct { key: loaded, .. }) => key == loaded,
                (
                    Payload {
                        base,
                        offset,
                        length,
                        ..
                    },
                    Payload {
                        base: loaded_base,
                        offset: loaded_offset,
                        length: loaded_length,
                        ..
                    },
                ) => {
                    (base, offset) == (loaded_base, loaded_offset)
                        && (*base == PayloadBase::Network || length == loaded_length)
                }
                _ => false,
            })
    }
}
