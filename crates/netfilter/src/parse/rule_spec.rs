//! One rule from its words: typed if this crate knows all of its options, else opaque.

use super::quoting::join;
use crate::render::TCP_SYN;
use crate::ruleset::{ChainName, ConntrackState, Mark, Match, Protocol, RejectWith, Sense, Target};
use crate::value::{PortRange, network_or_address};

/// The matches and the target; `is_chain` returns whether the table has a chain of that name.
pub(super) fn parse(words: &[String], is_chain: impl Fn(&str) -> bool) -> (Vec<Match>, Target) {
    let index = words.iter().position(|word| word == "-j" || word == "-g");
    let (conditions, target) = words.split_at(index.unwrap_or(words.len()));
    let matches = Conditions { words: conditions }
        .parse()
        .unwrap_or_else(|| vec![Match::Opaque(join(conditions))]);
    let target = parse_target(target, is_chain).unwrap_or_else(|| Target::Opaque(join(target)));
    (matches, target)
}

struct Conditions<'line> {
    words: &'line [String],
}

impl<'line> Conditions<'line> {
    /// All conditions; `None` if one is unknown.
    fn parse(mut self) -> Option<Vec<Match>> {
        let mut matches = Vec::new();
        let mut module = "";
        while let Some(word) = self.next() {
            let (sense, option) = match word {
                "!" => (Sense::IsNot, self.next()?),
                option => (Sense::Is, option),
            };
            let value = self.next()?;
            if option == "-m" {
                module = value;
            } else if option == "--tcp-flags" {
                let set = self.next()?;
                let is_syn = TCP_SYN.split_once(' ') == Some((value, set));
                matches.push(is_syn.then_some(Match::TcpSyn(sense))?);
            } else {
                matches.push(condition(module, option, sense, value)?);
            }
        }
        is_possible(&matches).then_some(matches)
    }

    fn next(&mut self) -> Option<&'line str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

/// iptables refuses options for ports in rules that are not for one protocol with ports.
fn is_possible(matches: &[Match]) -> bool {
    let is_for_ports = |condition: &Match| {
        matches!(
            condition,
            Match::SourcePort(..)
                | Match::DestinationPort(..)
                | Match::DestinationPorts(..)
                | Match::TcpSyn(..)
        )
    };
    let has_ports = |condition: &Match| {
        matches!(
            condition,
            Match::Protocol(Sense::Is, Protocol::Tcp | Protocol::Udp)
        )
    };
    !matches.iter().any(is_for_ports) || matches.iter().any(has_ports)
}

/// `-p tcp` is enough for the options of the module `tcp`, also after another module.
fn condition(module: &str, option: &str, sense: Sense, value: &str) -> Option<Match> {
    let condition = match (module, option) {
        ("", "-s") => Match::Source(sense, network_or_address(value)?),
        ("", "-d") => Match::Destination(sense, network_or_address(value)?),
        ("", "-i") => Match::InInterface(sense, value.parse().ok()?),
        ("", "-o") => Match::OutInterface(sense, value.parse().ok()?),
        ("", "-p") => Match::Protocol(sense, protocol(value)?),
        (_, "--sport") if module != "multiport" => Match::SourcePort(sense, value.parse().ok()?),
        (_, "--dport") if module != "multiport" => {
            Match::DestinationPort(sense, value.parse().ok()?)
        }
        ("icmp6", "--icmpv6-type") => Match::Icmpv6Type(sense, value.parse().ok()?),
        ("multiport", "--dports") => Match::DestinationPorts(sense, ports(value)?),
        ("owner", "--uid-owner") => Match::OwnerUid(sense, value.parse().ok()?),
        ("owner", "--gid-owner") => Match::OwnerGid(sense, value.parse().ok()?),
        ("mark", "--mark") => Match::Mark(sense, mark(value)?),
        ("connmark", "--mark") => Match::Connmark(sense, mark(value)?),
        ("comment", "--comment") if sense == Sense::Is => Match::Comment(value.to_owned()),
        ("conntrack", "--ctstate") => Match::ConntrackState(sense, states(value)?),
        _ => return None,
    };
    Some(condition)
}

fn parse_target(words: &[String], is_chain: impl Fn(&str) -> bool) -> Option<Target> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let target = match words.as_slice() {
        ["-j", "RETURN"] => Target::Return,
        ["-j", "ACCEPT"] => Target::Accept,
        ["-j", "DROP"] => Target::Drop,
        ["-j", "REJECT", "--reject-with", with] => Target::Reject(reject_with(with)?),
        ["-j", "REDIRECT", "--to-ports" | "--to-port", port] => {
            Target::Redirect(port.parse().ok()?)
        }
        ["-j", "TPROXY", options @ ..] => tproxy(options)?,
        ["-j", "MARK", "--set-xmark" | "--set-mark", value] => Target::SetMark(mark(value)?),
        ["-j", "CONNMARK", option, rest @ ..] => connmark(option, rest)?,
        ["-j", "LOG", options @ ..] => log(options)?,
        ["-j", "CT", "--zone", zone] => Target::ConntrackZone(zone.parse().ok()?),
        ["-j", name] if is_chain(name) => Target::Jump(ChainName::new(name).ok()?),
        _ => return None,
    };
    Some(target)
}

fn tproxy(options: &[&str]) -> Option<Target> {
    let (mut port, mut written) = (None, None);
    for pair in options.chunks(2) {
        match pair {
            ["--on-port", value] => port = value.parse().ok(),
            ["--on-ip", "0.0.0.0" | "::"] => {}
            ["--tproxy-mark", value] => written = mark(value),
            _ => return None,
        }
    }
    Some(Target::Tproxy {
        port: port?,
        mark: written?,
    })
}

/// Other options than these add parts of the packet to the line.
fn log(options: &[&str]) -> Option<Target> {
    let (mut prefix, mut level) = ("", Target::DEFAULT_LOG_LEVEL);
    for pair in options.chunks(2) {
        match pair {
            ["--log-prefix", value] => prefix = value,
            ["--log-level", value] => level = value.parse().ok().filter(|level| *level < 8)?,
            _ => return None,
        }
    }
    Some(Target::Log {
        prefix: prefix.to_owned(),
        level,
    })
}

/// `iptables-save` writes the masks; of marks that are copied, only full ones are typed.
fn connmark(option: &str, masks: &[&str]) -> Option<Target> {
    if let ("--set-xmark" | "--set-mark", [value]) = (option, masks) {
        return Some(Target::SetConnmark(mark(value)?));
    }
    let full = masks
        .chunks(2)
        .all(|pair| matches!(pair, ["--nfmask" | "--ctmask" | "--mask", "0xffffffff"]));
    match option {
        "--save-mark" if full => Some(Target::SaveMark),
        "--restore-mark" if full => Some(Target::RestoreMark),
        _ => None,
    }
}

fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "tcp" | "6" => Some(Protocol::Tcp),
        "udp" | "17" => Some(Protocol::Udp),
        "ipv6-icmp" | "icmpv6" | "58" => Some(Protocol::Icmpv6),
        _ => None,
    }
}

fn reject_with(name: &str) -> Option<RejectWith> {
    let mut known = RejectWith::ALL.into_iter();
    known.find(|with| with.as_str() == name)
}

fn ports(text: &str) -> Option<Vec<PortRange>> {
    text.split(',').map(|port| port.parse().ok()).collect()
}

fn mark(text: &str) -> Option<Mark> {
    match text.split_once('/') {
        Some((value, mask)) => Some(Mark {
            value: number(value)?,
            mask: number(mask)?,
        }),
        None => Some(Mark::exact(number(text)?)),
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn states(text: &str) -> Option<Vec<ConntrackState>> {
    let state = |name: &str| {
        let mut known = ConntrackState::ALL.into_iter();
        known.find(|state| state.as_str() == name)
    };
    let mut states: Vec<_> = text.split(',').map(state).collect::<Option<_>>()?;
    states.sort_unstable();
    Some(states)
}
