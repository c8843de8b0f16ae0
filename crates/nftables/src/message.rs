//! Netlink messages of the netfilter subsystem: header, family, attributes.

use mesh_cni_netfilter::ruleset::Family;

use crate::attributes::{Attributes, Malformed, Writer};
use crate::uapi::netfilter::{NFPROTO_IPV4, NFPROTO_IPV6};
use crate::uapi::netlink::{NLM_F_REQUEST, NLMSG_ALIGNTO, NLMSG_HDRLEN};
use crate::uapi::nf_tables_compat::NFNL_MSG_COMPAT_GET;
use crate::uapi::nfnetlink::{NFGENMSG_LEN, NFNL_SUBSYS_NFT_COMPAT, NFNL_SUBSYS_NFTABLES};

/// The message type of a query for an extension of `nft_compat`.
pub(crate) const COMPAT_GET: u16 = NFNL_SUBSYS_NFT_COMPAT << 8 | NFNL_MSG_COMPAT_GET;

/// The message type of a `NFT_MSG_*`.
pub(crate) const fn nf_tables(message: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message
}

/// The `NFPROTO_*` of a family.
pub(crate) fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => NFPROTO_IPV4,
        Family::V6 => NFPROTO_IPV6,
    }
}

/// The family of an `NFPROTO_*`; `None` for other protocols than IP.
pub(crate) fn family(number: u8) -> Option<Family> {
    Family::ALL
        .into_iter()
        .find(|family| protocol_family(*family) == number)
}

/// The fields of `struct nlmsghdr` and `struct nfgenmsg`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) family: u8,
    /// `res_id`: the subsystem of a batch.
    pub(crate) resource: u16,
}

/// Appends a message.
pub(crate) fn write(to: &mut Vec<u8>, head: Head, attributes: Writer) {
    let attributes = attributes.into_bytes();
    let length = NLMSG_HDRLEN + NFGENMSG_LEN + attributes.len();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_ne_bytes());
    to.extend_from_slice(&head.kind.to_ne_bytes());
    to.extend_from_slice(&(head.flags | NLM_F_REQUEST).to_ne_bytes());
    to.extend_from_slice(&head.sequence.to_ne_bytes());
    to.extend_from_slice(&0_u32.to_ne_bytes());
    to.extend_from_slice(&[head.family, 0]);
    to.extend_from_slice(&head.resource.to_be_bytes());
    to.extend_from_slice(&attributes);
}

/// A received message: what follows its header is not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'bytes> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'bytes [u8],
}

impl<'bytes> Message<'bytes> {
    /// The protocol family and the attributes of a netfilter message.
    pub(crate) fn content(&self) -> Result<(u8, Attributes<'bytes>), Malformed> {
        let what = "struct nfgenmsg";
        let (generic, attributes) = self
            .body
            .split_first_chunk::<NFGENMSG_LEN>()
            .ok_or(Malformed::Missing { what })?;
        Ok((generic[0], Attributes::new(attributes)?))
    }
}

/// The messages of a datagram.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'bytes>(pub(crate) &'bytes [u8]);

impl<'bytes> Iterator for Messages<'bytes> {
    type Item = Result<Message<'bytes>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        let header = bytes.first_chunk::<NLMSG_HDRLEN>()?;
        let word = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
        let Some(body) = bytes.get(NLMSG_HDRLEN..length) else {
            self.0 = &[];
            let left = bytes.len();
            return Some(Err(Malformed::Length { length, left }));
        };
        let end = length.next_multiple_of(NLMSG_ALIGNTO);
        self.0 = bytes.get(end..).unwrap_or_default();
        Some(Ok(Message {
            kind: half(4),
            flags: half(6),
            sequence: word(8),
            body,
        }))
    }
}
