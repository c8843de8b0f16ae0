//! Netlink messages of the netfilter subsystem: header, family, attributes.

use mesh_cni_netfilter::ruleset::Family;

use crate::attributes::{Attributes, Malformed};

/// `struct nlmsghdr` (`linux/netlink.h`).
pub(crate) const HEADER: usize = 16;
/// `struct nfgenmsg` (`linux/netfilter/nfnetlink.h`).
pub(crate) const GENERIC: usize = 4;

/// `NFNL_SUBSYS_NFTABLES`, where the type of a message has the subsystem.
const SUBSYSTEM: u16 = 10;

/// `NFNL_MSG_COMPAT_GET` of `NFNL_SUBSYS_NFT_COMPAT`.
pub(crate) const COMPAT_GET: u16 = 11 << 8;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const BATCH_BEGIN: u16 = 16;
pub(crate) const BATCH_END: u16 = 17;

/// Flags of a header.
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const ACK: u16 = 0x4;
    /// In an answer: the dump was broken by a change.
    pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const EXCLUSIVE: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
    /// In an error: the message that was refused is not repeated beyond its header.
    pub(crate) const CAPPED: u16 = 0x100;
    /// In an error: attributes follow.
    pub(crate) const ACK_ATTRIBUTES: u16 = 0x200;
}

/// `enum nf_tables_msg_types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    NewTable = 0,
    GetTable = 1,
    DelTable = 2,
    NewChain = 3,
    GetChain = 4,
    DelChain = 5,
    NewRule = 6,
    GetRule = 7,
    DelRule = 8,
    NewSet = 9,
    GetSet = 10,
    NewSetElement = 12,
    GetSetElement = 13,
    NewGeneration = 15,
    GetGeneration = 16,
}

impl Kind {
    pub(crate) fn number(self) -> u16 {
        SUBSYSTEM << 8 | self as u16
    }
}

/// `NFPROTO_*` of a family.
pub(crate) fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// The family with that number; others are not ours.
pub(crate) fn family(number: u8) -> Option<Family> {
    let known = Family::ALL.into_iter();
    known
        .into_iter()
        .find(|family| protocol_family(*family) == number)
}

/// What stands before the attributes of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) family: u8,
    /// Of a batch: the subsystem. In answers: the generation.
    pub(crate) resource: u16,
}

/// Appends a whole message.
pub(crate) fn write(to: &mut Vec<u8>, head: Head, attributes: &[u8]) {
    let length = HEADER + GENERIC + attributes.len();
    // What the kernel takes in one datagram is far below.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_ne_bytes());
    to.extend_from_slice(&head.kind.to_ne_bytes());
    to.extend_from_slice(&(head.flags | flag::REQUEST).to_ne_bytes());
    to.extend_from_slice(&head.sequence.to_ne_bytes());
    to.extend_from_slice(&0_u32.to_ne_bytes());
    to.extend_from_slice(&[head.family, 0]);
    to.extend_from_slice(&head.resource.to_be_bytes());
    to.extend_from_slice(attributes);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// The head of a batch's first and last message.
pub(crate) fn batch_edge(kind: u16, sequence: u32) -> Head {
    Head {
        kind,
        flags: 0,
        sequence,
        family: 0,
        resource: SUBSYSTEM,
    }
}

/// A message as it came: what follows its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'bytes> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'bytes [u8],
}

impl<'bytes> Message<'bytes> {
    /// The family and the attributes of a netfilter message.
    pub(crate) fn content(&self) -> Result<(u8, Attributes<'bytes>), Malformed> {
        let what = "the netfilter header";
        let (generic, attributes) = self
            .body
            .split_first_chunk::<GENERIC>()
            .ok_or(Malformed::Missing { what })?;
        Ok((generic[0], Attributes(attributes)))
    }
}

/// The messages of a datagram.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'bytes>(pub(crate) &'bytes [u8]);

impl<'bytes> Iterator for Messages<'bytes> {
    type Item = Result<Message<'bytes>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        let header = bytes.first_chunk::<HEADER>()?;
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = usize::try_from(u32::from_ne_bytes(word(0))).unwrap_or(usize::MAX);
        let Some(body) = bytes.get(HEADER..length) else {
            self.0 = &[];
            let left = bytes.len();
            return Some(Err(Malformed::Length { length, left }));
        };
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(Message {
            kind: half(4),
            flags: half(6),
            sequence: u32::from_ne_bytes(word(8)),
            body,
        }))
    }
}
