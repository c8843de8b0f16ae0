//! Matches and targets of `x_tables` as the structures that their kernel modules read.
//!
//! Numbers are in host byte order. Ports of packets are in network byte order.

use mesh_cni_netfilter::ruleset::{Family, Mark, Match, RejectWith, Sense, Target};
use mesh_cni_netfilter::value::{Gid, IdRange, Port, PortRange, Uid};

use crate::condition::{OPENING_FLAGS, state_bits, states};
use crate::expression::Extension;
use crate::uapi::netfilter::nf_nat::NF_NAT_RANGE_PROTO_SPECIFIED;
use crate::uapi::netfilter::tcp::TCPHDR_SYN;
use crate::uapi::x_tables::{
    Layout, XT_ALIGN, ip6t_icmp, nf_nat, reject, xt_comment, xt_connmark, xt_conntrack, xt_ct,
    xt_log, xt_mark, xt_multiport, xt_owner, xt_tcpudp, xt_tproxy,
};

/// The extension for a match; `None` for a match that iptables writes as native expressions.
pub(crate) fn of_match(condition: &Match) -> Option<Extension> {
    Some(match condition {
        Match::OwnerUid(sense, users) => {
            use xt_owner::{UID_MAX, UID_MIN, XT_OWNER_UID};
            let ids = [(UID_MIN, users.first().0), (UID_MAX, users.last().0)];
            owner(*sense, XT_OWNER_UID, ids)
        }
        Match::OwnerGid(sense, groups) => {
            use xt_owner::{GID_MAX, GID_MIN, XT_OWNER_GID};
            let ids = [(GID_MIN, groups.first().0), (GID_MAX, groups.last().0)];
            owner(*sense, XT_OWNER_GID, ids)
        }
        Match::DestinationPorts(sense, ports) => multiport(*sense, ports)?,
        Match::Connmark(sense, mark) => Extension::zeroed(xt_connmark::CONNMARK_MATCH)
            .with(xt_connmark::MARK, mark.value.to_ne_bytes())
            .with(xt_connmark::MASK, mark.mask.to_ne_bytes())
            .with(xt_connmark::INVERT, [inverted(*sense)]),
        Match::ConntrackState(sense, states) => {
            use xt_conntrack::XT_CONNTRACK_STATE;
            let invert = u16::from(inverted(*sense)) * XT_CONNTRACK_STATE;
            Extension::zeroed(xt_conntrack::CONNTRACK)
                .with(xt_conntrack::MATCH_FLAGS, XT_CONNTRACK_STATE.to_ne_bytes())
                .with(xt_conntrack::INVERT_FLAGS, invert.to_ne_bytes())
                .with(xt_conntrack::STATE_MASK, state_bits(states).to_ne_bytes())
        }
        Match::Icmpv6Type(sense, number) => Extension::zeroed(ip6t_icmp::ICMP6)
            .with(ip6t_icmp::TYPE, [*number])
            .with(ip6t_icmp::CODE_MAX, [u8::MAX])
            .with(
                ip6t_icmp::INVFLAGS,
                [inverted(*sense) * ip6t_icmp::IP6T_ICMP_INV],
            ),
        Match::Comment(text) if text.len() < xt_comment::XT_MAX_COMMENT_LEN => {
            Extension::zeroed(xt_comment::COMMENT).with(0, text)
        }
        _ => return None,
    })
}

/// The extension for a target; `None` for verdicts.
pub(crate) fn of_target(target: &Target, family: Family) -> Option<Extension> {
    Some(match target {
        Target::Redirect(port) => redirect(port.get().to_be_bytes(), family),
        Target::Reject(with) => {
            Extension::zeroed(reject::REJECT).with(0, reject_number(*with, family)?.to_ne_bytes())
        }
        Target::Tproxy { port, mark } => Extension::zeroed(xt_tproxy::TPROXY)
            .with(xt_tproxy::MARK_MASK, mark.mask.to_ne_bytes())
            .with(xt_tproxy::MARK_VALUE, mark.value.to_ne_bytes())
            .with(xt_tproxy::LPORT, port.get().to_be_bytes()),
        Target::SetMark(mark) => Extension::zeroed(xt_mark::MARK_TARGET)
            .with(xt_mark::MARK, mark.value.to_ne_bytes())
            .with(xt_mark::MASK, mark.mask.to_ne_bytes()),
        Target::SetConnmark(mark) => connmark(xt_connmark::XT_CONNMARK_SET, mark.mask)
            .with(xt_connmark::CTMARK, mark.value.to_ne_bytes()),
        Target::SaveMark => connmark(xt_connmark::XT_CONNMARK_SAVE, u32::MAX),
        Target::RestoreMark => connmark(xt_connmark::XT_CONNMARK_RESTORE, u32::MAX),
        Target::ConntrackZone(zone) => {
            Extension::zeroed(xt_ct::CT).with(xt_ct::ZONE, zone.to_ne_bytes())
        }
        // A NUL ends the text.
        Target::Log { prefix, level } if prefix.len() < xt_log::PREFIX_SIZE => {
            Extension::zeroed(xt_log::LOG)
                .with(xt_log::LEVEL, [*level])
                .with(xt_log::PREFIX, prefix)
        }
        _ => return None,
    })
}

/// The first and the last id, each with its offset.
fn owner(sense: Sense, flag: u8, [first, last]: [(usize, u32); 2]) -> Extension {
    Extension::zeroed(xt_owner::OWNER)
        .with(first.0, first.1.to_ne_bytes())
        .with(last.0, last.1.to_ne_bytes())
        .with(xt_owner::MATCH, [flag])
        .with(xt_owner::INVERT, [inverted(sense) * flag])
}

/// `None` for more ports than the structure holds: a range takes two slots, and a flag marks the
/// first.
fn multiport(sense: Sense, ports: &[PortRange]) -> Option<Extension> {
    use xt_multiport::{XT_MULTI_PORTS, XT_MULTIPORT_DESTINATION};
    let (mut slots, mut flags) = (Vec::new(), Vec::new());
    for range in ports {
        let (first, last) = (range.first(), range.last());
        slots.push(first);
        flags.push(u8::from(first != last));
        if first != last {
            slots.push(last);
            flags.push(0);
        }
    }
    let count = u8::try_from(slots.len()).ok()?;
    let slots: Vec<u8> = slots.into_iter().flat_map(u16::to_ne_bytes).collect();
    (flags.len() <= XT_MULTI_PORTS).then(|| {
        Extension::zeroed(xt_multiport::MULTIPORT)
            .with(xt_multiport::FLAGS, [XT_MULTIPORT_DESTINATION])
            .with(xt_multiport::COUNT, [count])
            .with(xt_multiport::PORTS, slots)
            .with(xt_multiport::PFLAGS, flags)
            .with(xt_multiport::INVERT, [inverted(sense)])
    })
}

/// The ports and ranges in the slots of a structure.
fn slots(extension: &Extension) -> Option<Vec<PortRange>> {
    use xt_multiport::{COUNT, PFLAGS, PORTS, XT_MULTI_PORTS};
    let count = usize::from(extension.u8(COUNT)?).min(XT_MULTI_PORTS);
    let port = |slot| extension.u16(PORTS + 2 * slot);
    let (mut ranges, mut slot) = (Vec::new(), 0);
    while slot < count {
        let first = port(slot)?;
        slot += usize::from(extension.u8(PFLAGS + slot)? != 0);
        ranges.push(PortRange::new(first, port(slot)?)?);
        slot += 1;
    }
    Some(ranges)
}

/// A port, no address.
fn redirect(port: [u8; 2], family: Family) -> Extension {
    let flags = NF_NAT_RANGE_PROTO_SPECIFIED.to_ne_bytes();
    match family {
        Family::V4 => Extension::zeroed(nf_nat::REDIRECT_IPV4)
            .with(nf_nat::RANGESIZE, 1_u32.to_ne_bytes())
            .with(nf_nat::IPV4_FLAGS, flags)
            .with(nf_nat::IPV4_MIN, port)
            .with(nf_nat::IPV4_MAX, port),
        Family::V6 => Extension::zeroed(nf_nat::REDIRECT_IPV6)
            .with(nf_nat::IPV6_FLAGS, flags)
            .with(nf_nat::IPV6_MIN, port)
            .with(nf_nat::IPV6_MAX, port),
    }
}

/// `None` for an answer that the family does not have.
fn reject_number(with: RejectWith, family: Family) -> Option<u32> {
    use reject::{IP6T_ICMP6_ADM_PROHIBITED, IP6T_TCP_RESET, IPT_TCP_RESET};
    match (with, family) {
        (RejectWith::TcpReset, Family::V4) => Some(IPT_TCP_RESET),
        (RejectWith::TcpReset, Family::V6) => Some(IP6T_TCP_RESET),
        (RejectWith::Icmpv6AdminProhibited, Family::V4) => None,
        (RejectWith::Icmpv6AdminProhibited, Family::V6) => Some(IP6T_ICMP6_ADM_PROHIBITED),
    }
}

/// With all bits of the packet's mark, without a shift.
fn connmark(mode: u8, mask: u32) -> Extension {
    Extension::zeroed(xt_connmark::CONNMARK_TARGET)
        .with(xt_connmark::CTMASK, mask.to_ne_bytes())
        .with(xt_connmark::NFMASK, u32::MAX.to_ne_bytes())
        .with(xt_connmark::MODE, [mode])
}

fn inverted(sense: Sense) -> u8 {
    u8::from(sense == Sense::IsNot)
}

fn sense(inverted: u8) -> Sense {
    if inverted == 0 {
        Sense::Is
    } else {
        Sense::IsNot
    }
}

/// The matches that a structure describes, if they are known.
pub(crate) fn to_matches(extension: &Extension) -> Option<Vec<Match>> {
    if extension.name == xt_owner::OWNER.0 {
        return owners(extension);
    }
    match written_match(extension) {
        Some(condition) => Some(vec![condition]),
        None => older_matches(extension),
    }
}

/// The users and groups of `struct xt_owner_match_info`, which may have both.
fn owners(extension: &Extension) -> Option<Vec<Match>> {
    use xt_owner::{
        GID_MAX, GID_MIN, INVERT, MATCH, OWNER, UID_MAX, UID_MIN, XT_OWNER_GID, XT_OWNER_UID,
    };
    let (flags, inverted) = (extension.u8(MATCH)?, extension.u8(INVERT)?);
    let id = |at| extension.u32(at);
    let mut matches = Vec::new();
    if flags & XT_OWNER_UID != 0 {
        let users = IdRange::new(Uid(id(UID_MIN)?), Uid(id(UID_MAX)?))?;
        matches.push(Match::OwnerUid(sense(inverted & XT_OWNER_UID), users));
    }
    if flags & XT_OWNER_GID != 0 {
        let groups = IdRange::new(Gid(id(GID_MIN)?), Gid(id(GID_MAX)?))?;
        matches.push(Match::OwnerGid(sense(inverted & XT_OWNER_GID), groups));
    }
    let is_known = extension.revision == OWNER.1
        && flags & !(XT_OWNER_UID | XT_OWNER_GID) == 0
        && inverted & !flags == 0;
    (is_known && !matches.is_empty()).then_some(matches)
}

/// The match that a structure describes, if it is one that this module writes.
///
/// The structure must equal the one that is written for the match, because fields that are not
/// read here could add conditions.
fn written_match(extension: &Extension) -> Option<Match> {
    let condition = match extension.name.as_str() {
        "multiport" => {
            let sense = sense(extension.u8(xt_multiport::INVERT)?);
            Match::DestinationPorts(sense, slots(extension)?)
        }
        "connmark" => {
            let sense = sense(extension.u8(xt_connmark::INVERT)?);
            Match::Connmark(sense, extension.mark(xt_connmark::MARK, xt_connmark::MASK)?)
        }
        "conntrack" => {
            let inverted = extension.u16(xt_conntrack::INVERT_FLAGS)? != 0;
            let mask = extension.u16(xt_conntrack::STATE_MASK)?;
            Match::ConntrackState(sense(inverted.into()), states(mask.into())?)
        }
        "icmp6" => {
            let sense = sense(extension.u8(ip6t_icmp::INVFLAGS)?);
            Match::Icmpv6Type(sense, extension.u8(ip6t_icmp::TYPE)?)
        }
        "comment" => Match::Comment(text(&extension.info)?),
        _ => return None,
    };
    (of_match(&condition).as_ref() == Some(extension)).then_some(condition)
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|byte| *byte == 0).next()?;
    str::from_utf8(text).ok().map(str::to_owned)
}

/// Matches that older versions of iptables write as extensions instead of native expressions.
fn older_matches(extension: &Extension) -> Option<Vec<Match>> {
    match (extension.name.as_str(), extension.revision) {
        ("mark", xt_mark::MARK_MATCH_REVISION) => {
            let sense = sense(extension.u8(xt_mark::INVERT)?);
            let mark = extension.mark(xt_mark::MARK, xt_mark::MASK)?;
            Some(vec![Match::Mark(sense, mark)])
        }
        ("tcp", 0) => {
            // The option of the header, the flags that are compared, those that are set.
            let is_syn = match extension.info.get(xt_tcpudp::TCP_FLAGS)? {
                [0, 0, 0] => false,
                [0, OPENING_FLAGS, TCPHDR_SYN] => true,
                _ => return None,
            };
            in_header(extension, xt_tcpudp::TCP_INVFLAGS, is_syn)
        }
        ("udp", 0) => in_header(extension, xt_tcpudp::UDP_INVFLAGS, false),
        _ => None,
    }
}

/// The ports of `struct xt_tcp` or `struct xt_udp`, and `--syn`.
fn in_header(extension: &Extension, invflags: usize, is_syn: bool) -> Option<Vec<Match>> {
    use xt_tcpudp::{DPTS, SPTS, XT_TCP_INV_DSTPT, XT_TCP_INV_FLAGS, XT_TCP_INV_SRCPT};
    let inverted = extension.u8(invflags)?;
    let ports = |at| PortRange::new(extension.u16(at)?, extension.u16(at + 2)?);
    let syn = is_syn.then(|| Match::TcpSyn(sense(inverted & XT_TCP_INV_FLAGS)));
    let mut matches = vec![
        Match::SourcePort(sense(inverted & XT_TCP_INV_SRCPT), ports(SPTS)?),
        Match::DestinationPort(sense(inverted & XT_TCP_INV_DSTPT), ports(DPTS)?),
    ];
    matches.retain(|condition| !condition.always_holds());
    matches.extend(syn);
    let known = XT_TCP_INV_SRCPT | XT_TCP_INV_DSTPT | (u8::from(is_syn) * XT_TCP_INV_FLAGS);
    (inverted & !known == 0).then_some(matches)
}

/// The target that a structure describes, if it is one that this module writes.
pub(crate) fn to_target(extension: &Extension, family: Family) -> Option<Target> {
    let target = match extension.name.as_str() {
        "REDIRECT" => Target::Redirect(extension.port(match family {
            Family::V4 => nf_nat::IPV4_MIN,
            Family::V6 => nf_nat::IPV6_MIN,
        })?),
        "TPROXY" => Target::Tproxy {
            port: extension.port(xt_tproxy::LPORT)?,
            mark: extension.mark(xt_tproxy::MARK_VALUE, xt_tproxy::MARK_MASK)?,
        },
        "MARK" => Target::SetMark(extension.mark(xt_mark::MARK, xt_mark::MASK)?),
        "CONNMARK" => match extension.u8(xt_connmark::MODE)? {
            xt_connmark::XT_CONNMARK_SET => {
                Target::SetConnmark(extension.mark(xt_connmark::CTMARK, xt_connmark::CTMASK)?)
            }
            xt_connmark::XT_CONNMARK_SAVE => Target::SaveMark,
            _ => Target::RestoreMark,
        },
        "REJECT" => {
            let number = extension.u32(0)?;
            let mut known = RejectWith::ALL.into_iter();
            Target::Reject(known.find(|with| reject_number(*with, family) == Some(number))?)
        }
        "CT" => Target::ConntrackZone(extension.u16(xt_ct::ZONE)?),
        "LOG" => Target::Log {
            prefix: text(extension.info.get(xt_log::PREFIX..)?)?,
            level: extension.u8(xt_log::LEVEL)?,
        },
        _ => return None,
    };
    (of_target(&target, family).as_ref() == Some(extension)).then_some(target)
}

/// Access to the fields of the structure, by their offsets.
impl Extension {
    fn zeroed((name, revision, size): Layout) -> Self {
        Self {
            name: name.to_owned(),
            revision,
            info: vec![0; size.next_multiple_of(XT_ALIGN)],
        }
    }

    fn with(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.info[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn array<const LENGTH: usize>(&self, at: usize) -> Option<[u8; LENGTH]> {
        self.info.get(at..)?.first_chunk().copied()
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.info.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_ne_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_ne_bytes)
    }

    /// A port of packets.
    fn port(&self, at: usize) -> Option<Port> {
        Port::new(u16::from_be_bytes(self.array(at)?))
    }

    fn mark(&self, value: usize, mask: usize) -> Option<Mark> {
        Some(Mark {
            value: self.u32(value)?,
            mask: self.u32(mask)?,
        })
    }
}
