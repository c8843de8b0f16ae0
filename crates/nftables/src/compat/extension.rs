//! Matches and targets of `x_tables`: the structures that their modules read, byte for byte.
//!
//! Each is padded to eight bytes (`XT_ALIGN`). Numbers are in the order of this machine, but for
//! ports of packets, which are in network order.

use mesh_cni_netfilter::ruleset::{ConntrackState, Family, Mark, Match, Sense, Target};
use mesh_cni_netfilter::value::{Gid, Port, Uid};

use crate::expression::Extension;

/// How many ports a `multiport` can name.
const MULTIPORT_SLOTS: usize = 15;
/// The length of a comment with its final NUL (`XT_MAX_COMMENT_LEN`).
const COMMENT_LENGTH: usize = 256;

/// A match that `nf_tables` has no words for, or that iptables does not write in them.
pub(super) fn of_match(condition: &Match) -> Option<Extension> {
    Some(match condition {
        Match::OwnerUid(sense, uid) => owner(*sense, Owner::User(*uid)),
        Match::OwnerGid(sense, gid) => owner(*sense, Owner::Group(*gid)),
        Match::DestinationPorts(sense, ports) => multiport(*sense, ports)?,
        Match::Connmark(sense, mark) => connmark(*sense, *mark),
        Match::ConntrackState(sense, states) => conntrack(*sense, states),
        Match::Comment(text) => comment(text)?,
        _ => return None,
    })
}

/// A target of `x_tables`; verdicts are none.
pub(super) fn of_target(target: &Target, family: Family) -> Option<Extension> {
    Some(match target {
        Target::Redirect(port) => redirect(*port, family),
        Target::Tproxy { port, mark } => tproxy(*port, *mark),
        Target::SetMark(mark) => Info::new("MARK", 2).u32(mark.value).u32(mark.mask).finish(),
        // `XT_CONNMARK_SAVE`, `XT_CONNMARK_RESTORE`
        Target::SaveMark => copy_mark(1),
        Target::RestoreMark => copy_mark(2),
        Target::ConntrackZone(zone) => conntrack_zone(*zone),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Owner {
    User(Uid),
    Group(Gid),
}

/// `struct xt_owner_match_info`: ranges of ids, of which each is one id here.
fn owner(sense: Sense, owner: Owner) -> Extension {
    // `XT_OWNER_UID`, `XT_OWNER_GID`
    let (uid, gid, bit) = match owner {
        Owner::User(Uid(uid)) => (uid, 0, 1),
        Owner::Group(Gid(gid)) => (0, gid, 2),
    };
    let inverted = if sense == Sense::IsNot { bit } else { 0 };
    let info = Info::new("owner", 1).u32(uid).u32(uid).u32(gid).u32(gid);
    info.u8(bit).u8(inverted).finish()
}

/// `struct xt_multiport_v1`: its ports are in the order of this machine.
fn multiport(sense: Sense, ports: &[Port]) -> Option<Extension> {
    /// `XT_MULTIPORT_DESTINATION`
    const DESTINATION: u8 = 1;
    let count = u8::try_from(ports.len()).ok()?;
    if ports.len() > MULTIPORT_SLOTS {
        return None;
    }
    let mut info = Info::new("multiport", 1).u8(DESTINATION).u8(count);
    for slot in 0..MULTIPORT_SLOTS {
        let port = ports.get(slot).map_or(0, |port| port.get());
        info = info.bytes(&port.to_ne_bytes());
    }
    let ranges = [0; MULTIPORT_SLOTS];
    let inverted = u8::from(sense == Sense::IsNot);
    Some(info.bytes(&ranges).u8(inverted).finish())
}

/// `struct xt_connmark_mtinfo1`
fn connmark(sense: Sense, mark: Mark) -> Extension {
    let info = Info::new("connmark", 1).u32(mark.value).u32(mark.mask);
    info.u8(u8::from(sense == Sense::IsNot)).finish()
}

/// `struct xt_conntrack_mtinfo3`, of which only the states are asked for.
fn conntrack(sense: Sense, states: &[ConntrackState]) -> Extension {
    /// `XT_CONNTRACK_STATE`
    const STATE: u16 = 1;
    /// Addresses, times, protocol and ports, which nobody asks for.
    const BEFORE: usize = 146;
    /// The upper ends of port ranges.
    const BEHIND: usize = 10;
    let states = states.iter().fold(0, |mask, state| mask | bit(*state));
    let inverted = if sense == Sense::IsNot { STATE } else { 0 };
    let info = Info::new("conntrack", 3).bytes(&[0; BEFORE]);
    let info = info.u16(STATE).u16(inverted).u16(states);
    info.bytes(&[0; BEHIND]).finish()
}

/// `XT_CONNTRACK_STATE_BIT` of each state.
fn bit(state: ConntrackState) -> u16 {
    match state {
        ConntrackState::Invalid => 1,
        ConntrackState::Established => 1 << 1,
        ConntrackState::Related => 1 << 2,
        ConntrackState::New => 1 << 3,
    }
}

/// `struct xt_comment_info`
fn comment(text: &str) -> Option<Extension> {
    let left = COMMENT_LENGTH.checked_sub(text.len())?;
    let info = Info::new("comment", 0).bytes(text.as_bytes());
    (left > 0).then(|| info.bytes(&vec![0; left]).finish())
}

/// `struct nf_nat_ipv4_multi_range_compat` or `struct nf_nat_range`: a port, no address.
fn redirect(port: Port, family: Family) -> Extension {
    /// `NF_NAT_RANGE_PROTO_SPECIFIED`
    const PORTS: u32 = 2;
    let info = Info::new("REDIRECT", 0);
    let info = match family {
        Family::V4 => info.u32(1).u32(PORTS).bytes(&[0; 8]),
        Family::V6 => info.u32(PORTS).bytes(&[0; 32]),
    };
    let port = port.get().to_be_bytes();
    info.bytes(&port).bytes(&port).finish()
}

/// `struct xt_tproxy_target_info_v1`, without an address
fn tproxy(port: Port, mark: Mark) -> Extension {
    let info = Info::new("TPROXY", 1).u32(mark.mask).u32(mark.value);
    let info = info.bytes(&[0; 16]);
    info.bytes(&port.get().to_be_bytes())
        .bytes(&[0; 2])
        .finish()
}

/// `struct xt_connmark_tginfo2`: all bits, nothing shifted
fn copy_mark(mode: u8) -> Extension {
    let info = Info::new("CONNMARK", 2).u32(0).u32(u32::MAX).u32(u32::MAX);
    info.bytes(&[0, 0, mode]).finish()
}

/// `struct xt_ct_target_info_v1`, of which only the zone is given
fn conntrack_zone(zone: u16) -> Extension {
    /// Events, helper, timeout, and the kernel's own pointer.
    const BEHIND: usize = 68;
    Info::new("CT", 2)
        .u16(0)
        .u16(zone)
        .bytes(&[0; BEHIND])
        .finish()
}

/// A structure being written.
struct Info {
    name: &'static str,
    revision: u32,
    bytes: Vec<u8>,
}

impl Info {
    fn new(name: &'static str, revision: u32) -> Self {
        Self {
            name,
            revision,
            bytes: Vec::new(),
        }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    fn finish(mut self) -> Extension {
        /// `XT_ALIGN`
        const ALIGNMENT: usize = 8;
        let length = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(length, 0);
        Extension {
            name: self.name.to_owned(),
            revision: self.revision,
            info: self.bytes,
        }
    }
}

/// The match that a structure asks for, if it is one that this module writes.
///
/// Only what comes out the same when it is written again counts as read: a field that we do not
/// look at may ask for something that we do not know.
pub(crate) fn to_match(extension: &Extension) -> Option<Match> {
    let read = Fields(&extension.info);
    let sense = |inverted: bool| {
        if inverted { Sense::IsNot } else { Sense::Is }
    };
    let condition = match extension.name.as_str() {
        "owner" => match (read.u8(16)?, read.u8(17)?) {
            (1, inverted) => Match::OwnerUid(sense(inverted != 0), Uid(read.u32(0)?)),
            (_, inverted) => Match::OwnerGid(sense(inverted != 0), Gid(read.u32(8)?)),
        },
        "multiport" => {
            let count = usize::from(read.u8(1)?);
            let port = |slot: usize| Port::new(read.u16(2 + 2 * slot)?);
            let ports: Option<Vec<_>> = (0..count.min(MULTIPORT_SLOTS)).map(port).collect();
            Match::DestinationPorts(sense(read.u8(47)? != 0), ports?)
        }
        "connmark" => Match::Connmark(sense(read.u8(8)? != 0), read.mark(0, 4)?),
        "conntrack" => {
            let mask = read.u16(150)?;
            let states = ConntrackState::ALL.into_iter();
            let states = states.filter(|state| mask & bit(*state) != 0);
            Match::ConntrackState(sense(read.u16(148)? != 0), states.collect())
        }
        "comment" => {
            let text = extension.info.split(|byte| *byte == 0).next()?;
            Match::Comment(std::str::from_utf8(text).ok()?.to_owned())
        }
        _ => return older_match(extension),
    };
    (of_match(&condition).as_ref() == Some(extension)).then_some(condition)
}

/// Matches that earlier versions of iptables wrote so, and that are written natively today.
fn older_match(extension: &Extension) -> Option<Match> {
    let read = Fields(&extension.info);
    let sense = |inverted: bool| {
        if inverted { Sense::IsNot } else { Sense::Is }
    };
    match (extension.name.as_str(), extension.revision) {
        ("mark", 1) => Some(Match::Mark(sense(read.u8(8)? != 0), read.mark(0, 4)?)),
        // `struct xt_tcp`: flags of the header may be asked for too; `struct xt_udp` has none.
        ("tcp", 0) if extension.info.get(8..11)? == [0; 3] => ports(read, 11),
        ("udp", 0) => ports(read, 8),
        _ => None,
    }
}

/// A single source or destination port of `struct xt_tcp` or `struct xt_udp`; the bits that exclude
/// them are `inverted` bytes in.
fn ports(read: Fields<'_>, inverted: usize) -> Option<Match> {
    const ALL: (u16, u16) = (0, u16::MAX);
    let inverted = read.u8(inverted)?;
    let source = (read.u16(0)?, read.u16(2)?);
    let destination = (read.u16(4)?, read.u16(6)?);
    let sense = |bit: u8| match inverted & bit {
        0 => Sense::Is,
        _ => Sense::IsNot,
    };
    match (source, destination) {
        (ALL, (from, to)) if from == to => Some(Match::DestinationPort(sense(2), Port::new(from)?)),
        ((from, to), ALL) if from == to => Some(Match::SourcePort(sense(1), Port::new(from)?)),
        _ => None,
    }
}

/// The target that a structure asks for, if it is one that this module writes.
pub(crate) fn to_target(extension: &Extension, family: Family) -> Option<Target> {
    let read = Fields(&extension.info);
    let target = match extension.name.as_str() {
        "REDIRECT" => {
            let at = if family == Family::V4 { 16 } else { 36 };
            Target::Redirect(Port::new(read.port(at)?)?)
        }
        "TPROXY" => Target::Tproxy {
            port: Port::new(read.port(24)?)?,
            mark: read.mark(4, 0)?,
        },
        "MARK" => Target::SetMark(read.mark(0, 4)?),
        "CONNMARK" if read.u8(14)? == 1 => Target::SaveMark,
        "CONNMARK" => Target::RestoreMark,
        "CT" => Target::ConntrackZone(read.u16(2)?),
        _ => return None,
    };
    (of_target(&target, family).as_ref() == Some(extension)).then_some(target)
}

/// A structure being read.
#[derive(Clone, Copy)]
struct Fields<'info>(&'info [u8]);

impl Fields<'_> {
    fn array<const LENGTH: usize>(self, at: usize) -> Option<[u8; LENGTH]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_ne_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_ne_bytes)
    }

    /// A port of packets.
    fn port(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn mark(self, value: usize, mask: usize) -> Option<Mark> {
        let (value, mask) = (self.u32(value)?, self.u32(mask)?);
        Some(Mark { value, mask })
    }
}
