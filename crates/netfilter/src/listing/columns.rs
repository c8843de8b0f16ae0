//! The text of matches and targets in a listing, as the extensions of iptables print it.

use ipnetwork::IpNetwork;

use crate::render::{joined, rule_spec};
use crate::ruleset::{Family, Match, Protocol, Rule, Sense, Target};
use crate::value::PortRange;

/// The `target` column.
pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Return => "RETURN".to_owned(),
        Target::Accept => "ACCEPT".to_owned(),
        Target::Drop => "DROP".to_owned(),
        Target::Reject(_) => "REJECT".to_owned(),
        Target::Jump(chain) => chain.to_string(),
        Target::Redirect(_) => "REDIRECT".to_owned(),
        Target::Tproxy { .. } => "TPROXY".to_owned(),
        Target::SetMark(_) => "MARK".to_owned(),
        Target::SetConnmark(_) | Target::SaveMark | Target::RestoreMark => "CONNMARK".to_owned(),
        Target::ConntrackZone(_) => "CT".to_owned(),
        Target::Log { .. } => "LOG".to_owned(),
        Target::Opaque(text) => text.split_whitespace().nth(1).unwrap_or("").to_owned(),
    }
}

/// The text after the columns: the matches without a column, then the target's options.
pub(super) fn details(rule: &Rule, family: Family) -> String {
    let protocol = rule.matches.iter().find_map(|condition| match condition {
        Match::Protocol(Sense::Is, protocol) => Some(*protocol),
        _ => None,
    });
    let transport = protocol.map_or("", Protocol::as_str);
    let of_rule = || rule.matches.iter().filter(|each| !each.always_holds());
    let mut header: Vec<_> = of_rule().filter(|each| is_in_header(each)).collect();
    header.sort();
    let mut texts = Vec::new();
    for condition in of_rule() {
        if !is_in_header(condition) {
            texts.extend(match_text(condition));
        } else if !header.is_empty() {
            texts.push(transport.to_owned());
            texts.extend(header.drain(..).filter_map(match_text));
        }
    }
    texts.extend(target_options(&rule.target, family));
    joined(texts, " ")
}

/// Whether this is a condition on the transport header: one match of iptables prints all of them,
/// after the name of the protocol.
fn is_in_header(condition: &Match) -> bool {
    matches!(
        condition,
        Match::SourcePort(..) | Match::DestinationPort(..) | Match::TcpSyn(..)
    )
}

fn match_text(condition: &Match) -> Option<String> {
    let text = match condition {
        Match::Source(..)
        | Match::Destination(..)
        | Match::InInterface(..)
        | Match::OutInterface(..)
        | Match::Protocol(..) => return None,
        Match::SourcePort(sense, range) => ports("spt", *sense, *range),
        Match::DestinationPort(sense, range) => ports("dpt", *sense, *range),
        Match::TcpSyn(sense) => format!("flags:{}0x17/0x02", negation(*sense)),
        Match::Icmpv6Type(sense, number) => format!("ipv6-icmptype {}{number}", negation(*sense)),
        // Negated, iptables prints two spaces.
        Match::DestinationPorts(Sense::IsNot, ports) => {
            format!("multiport dports  !{}", joined(ports, ","))
        }
        Match::DestinationPorts(Sense::Is, ports) => {
            format!("multiport dports {}", joined(ports, ","))
        }
        Match::OwnerUid(sense, user) => {
            format!("{}owner UID match {user}", negation_with_space(*sense))
        }
        Match::OwnerGid(sense, group) => {
            format!("{}owner GID match {group}", negation_with_space(*sense))
        }
        Match::Mark(sense, mark) => format!("mark match {}{mark}", negation_with_space(*sense)),
        Match::Connmark(sense, mark) => {
            format!("connmark match {}{mark}", negation_with_space(*sense))
        }
        Match::ConntrackState(sense, states) => {
            let states = joined(states.iter().map(|state| state.as_str()), ",");
            format!("{}ctstate {states}", negation_with_space(*sense))
        }
        Match::Comment(text) => format!("/* {text} */"),
        Match::Opaque(text) => text.clone(),
    };
    Some(text)
}

/// `dpt:80` or `dpts:8000:8100`.
fn ports(option: &str, sense: Sense, range: PortRange) -> String {
    let plural = if range.first() == range.last() {
        ""
    } else {
        "s"
    };
    format!("{option}{plural}:{}{range}", negation(sense))
}

fn target_options(target: &Target, family: Family) -> Option<String> {
    match target {
        Target::Return | Target::Accept | Target::Drop | Target::Jump(_) => None,
        Target::Reject(with) => Some(format!("reject-with {}", with.as_str())),
        Target::Redirect(port) => Some(format!("redir ports {port}")),
        Target::Tproxy { port, mark } => {
            let address = match family {
                Family::V4 => "0.0.0.0",
                Family::V6 => "::",
            };
            let (value, mask) = (mark.value, mark.mask);
            Some(format!(
                "TPROXY redirect {address}:{port} mark {value:#x}/{mask:#x}"
            ))
        }
        Target::SetMark(mark) => Some(format!("MARK set {mark}")),
        Target::SetConnmark(mark) => Some(format!("CONNMARK set {mark}")),
        Target::SaveMark => Some("CONNMARK save".to_owned()),
        Target::RestoreMark => Some("CONNMARK restore".to_owned()),
        Target::ConntrackZone(zone) => Some(format!("CT zone {zone}")),
        Target::Log { prefix, level } => {
            let prefix = match prefix.as_str() {
                "" => String::new(),
                prefix => format!(" prefix \"{prefix}\""),
            };
            Some(format!("LOG flags 0 level {level}{prefix}"))
        }
        Target::Opaque(text) => text
            .split_whitespace()
            .nth(2)
            .map(|_| rule_spec(&Rule::new([], target.clone()))),
    }
}

/// An address column: a single address without its prefix length, `!` before an excluded one.
pub(super) fn address(sense: Sense, range: IpNetwork) -> String {
    let full = match range {
        IpNetwork::V4(_) => 32,
        IpNetwork::V6(_) => 128,
    };
    if range.prefix() == full {
        format!("{}{}", negation(sense), range.ip())
    } else {
        format!("{}{range}", negation(sense))
    }
}

pub(super) fn negation(sense: Sense) -> &'static str {
    match sense {
        Sense::Is => "",
        Sense::IsNot => "!",
    }
}

fn negation_with_space(sense: Sense) -> &'static str {
    match sense {
        Sense::Is => "",
        Sense::IsNot => "! ",
    }
}
