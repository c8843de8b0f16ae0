//! A walk as text: a line for each rule, and the outcome as a sentence.

use std::borrow::Cow;
use std::fmt::{self, Display};

use super::outcome::{Location, Outcome, UndecidedReason};
use super::step::{Effect, Event, Mismatch, NatSkip, PacketValue, Pass, RuleResult, Step, Walk};
use crate::ruleset::{Match, PolicyVerdict};
use crate::value::Port;

/// What ports are called in sentences, such as `the proxy's listener on 15001`.
///
/// A port without a name is called `port 8080`. The default names no port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortNames(pub &'static [(u16, &'static str)]);

/// A walk or its outcome, displayed with the names of its ports.
#[derive(Clone, Copy, Debug)]
pub struct WithPortNames<'walk, T> {
    value: &'walk T,
    names: PortNames,
}

impl Walk {
    /// The walk as text: the packet, a line for each rule, and the outcome.
    ///
    /// Policies are omitted unless they drop the packet.
    pub fn display(&self, names: PortNames) -> WithPortNames<'_, Self> {
        WithPortNames { value: self, names }
    }
}

impl Outcome {
    /// The outcome as a sentence without a full stop.
    pub fn display(&self, names: PortNames) -> WithPortNames<'_, Self> {
        WithPortNames { value: self, names }
    }
}

impl Display for WithPortNames<'_, Walk> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walk = self.value;
        writeln!(f, "{}", walk.packet)?;
        let is_shown = |step: &&Step| step.event != Event::Policy(PolicyVerdict::Accept);
        let lines: Vec<_> = walk.steps.iter().filter(is_shown).collect();
        let width = |column: fn(&Step) -> String| {
            let widths = lines.iter().map(|step| column(step).chars().count());
            widths.max().unwrap_or(0)
        };
        let (location_width, rule_width) = (width(Step::location), width(Step::rule));
        let mut pass = Pass::First;
        for step in lines {
            if step.pass != pass {
                writeln!(f, "second pass, arrives through lo")?;
                pass = step.pass;
            }
            let (location, rule, result) = (step.location(), step.rule(), step.result());
            writeln!(
                f,
                "  {location:location_width$}  {rule:rule_width$}  {result}"
            )?;
        }
        writeln!(f, "{}", walk.outcome.display(self.names))
    }
}

impl Step {
    /// The table, the chain and the number of the rule: `nat OUTPUT 3`.
    pub fn location(&self) -> String {
        let (table, chain) = (self.table, &self.chain);
        match &self.event {
            Event::Rule { number, .. } => format!("{table} {chain} {number}"),
            Event::Policy(_) | Event::NatSkipped(_) => format!("{table} {chain}"),
        }
    }

    /// The rule as iptables writes it, or `policy DROP`; empty for a skipped chain.
    pub fn rule(&self) -> String {
        match &self.event {
            Event::Rule { text, .. } => text.clone(),
            Event::Policy(verdict) => format!("policy {verdict}"),
            Event::NatSkipped(_) => String::new(),
        }
    }

    /// Whether the rule matched and why not, and what it did: `no: protocol is udp`.
    pub fn result(&self) -> String {
        match &self.event {
            Event::Rule { result, .. } => result.to_string(),
            Event::Policy(PolicyVerdict::Accept) => "accepted".to_owned(),
            Event::Policy(PolicyVerdict::Drop) => "dropped".to_owned(),
            Event::NatSkipped(reason) => reason.to_string(),
        }
    }
}

impl Display for Step {
    /// Location, rule and result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.location(), self.rule(), self.result())
    }
}

impl Display for RuleResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMatched(mismatch) => write!(f, "no: {mismatch}"),
            Self::Matched(effect) => write!(f, "yes: {effect}"),
            Self::Undecided(reason) => write!(f, "unknown: {reason}"),
        }
    }
}

impl Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returns from the chain"),
            Self::Accepted => f.write_str("accepted"),
            Self::Dropped => f.write_str("dropped"),
            Self::Rejected(with) => write!(f, "refused with {}", with.as_str()),
            Self::Jumped(chain) => write!(f, "jumps to {chain}"),
            Self::Redirected(to) => write!(f, "destination becomes {to}"),
            Self::Tproxied { port, mark } => {
                write!(f, "assigned to the listener on {port}, mark {mark:#x}")
            }
            Self::MarkSet(mark) => write!(f, "mark becomes {mark:#x}"),
            Self::ConnmarkSet(mark) | Self::MarkSaved(mark) => {
                write!(f, "connection mark becomes {mark:#x}")
            }
            Self::MarkRestored(mark) => write!(f, "mark becomes the connection mark, {mark:#x}"),
            Self::NoConnection => f.write_str("no effect: there is no connection"),
            Self::ZoneSet(zone) => write!(f, "conntrack zone becomes {zone}"),
            Self::ZoneKept(zone) => write!(f, "no effect: the conntrack zone is already {zone}"),
            Self::None => f.write_str("continues with the next rule"),
        }
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.found, &self.condition) {
            (PacketValue::Mark(mark), Match::Mark(_, wanted)) => {
                write!(f, "mark is {}", masked(*mark, wanted.mask))
            }
            (PacketValue::Connmark(Some(mark)), Match::Connmark(_, wanted)) => {
                write!(f, "connection mark is {}", masked(*mark, wanted.mask))
            }
            (found, _) => found.fmt(f),
        }
    }
}

/// A mark, with the masked value where that differs.
fn masked(mark: u32, bits: u32) -> String {
    match mark & bits {
        masked if masked == mark => format!("{mark:#x}"),
        masked => format!("{mark:#x}, masked {masked:#x}"),
    }
}

impl Display for PacketValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(address) => write!(f, "source is {address}"),
            Self::Destination(address) => write!(f, "destination is {address}"),
            Self::InInterface(Some(name)) => write!(f, "arrives through {name}"),
            Self::InInterface(None) => f.write_str("sent locally"),
            Self::OutInterface(Some(name)) => write!(f, "leaves through {name}"),
            Self::OutInterface(None) => f.write_str("no output interface"),
            Self::Protocol(protocol) => write!(f, "protocol is {protocol}"),
            Self::SourcePort(port) => write!(f, "source port is {port}"),
            Self::DestinationPort(port) => write!(f, "destination port is {port}"),
            Self::TcpSyn(true) => f.write_str("opens a TCP connection"),
            Self::TcpSyn(false) => f.write_str("opens no TCP connection"),
            Self::OwnerUid(Some(user)) => write!(f, "sent by user {user}"),
            Self::OwnerGid(Some(group)) => write!(f, "sent by group {group}"),
            Self::OwnerUid(None) | Self::OwnerGid(None) => f.write_str("the sender is unknown"),
            Self::Mark(mark) => write!(f, "mark is {mark:#x}"),
            Self::Connmark(Some(mark)) => write!(f, "connection mark is {mark:#x}"),
            Self::Connmark(None) => f.write_str("no connection"),
            Self::State(state) => write!(f, "state is {}", state.as_str()),
        }
    }
}

impl Display for NatSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecidedOnFirstPass => f.write_str("skipped: NAT was decided on the first pass"),
            Self::LaterPacket(None) => {
                f.write_str("skipped: not the first packet of its connection")
            }
            Self::LaterPacket(Some(to)) => write!(
                f,
                "skipped: not the first packet of its connection, destination becomes {to}"
            ),
            Self::NoConnection => f.write_str("skipped: no connection"),
        }
    }
}

impl Display for UndecidedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(text) => write!(f, "unknown condition `{text}`"),
            Self::Target(text) => write!(f, "unknown target `{text}`"),
            Self::MissingChain(chain) => write!(f, "there is no chain {chain}"),
            Self::Loop(chain) => write!(f, "chain {chain} calls itself"),
            Self::Misplaced => f.write_str("the kernel refuses this target here"),
            Self::NoAddress(name) => write!(f, "the address of {name} is unknown"),
            Self::TooManyRules => write!(f, "more than {} rules were checked", Walk::MAX_RULES),
        }
    }
}

impl Display for WithPortNames<'_, Outcome> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = |port: &Port| self.names.name(*port);
        match self.value {
            Outcome::Redirected { port, original, .. } => {
                let listener = listener(port);
                write!(f, "goes to {listener}, original destination {original}")
            }
            Outcome::Tproxied {
                port,
                source,
                destination,
                original,
            } => {
                write!(f, "goes to {}, source {source} ", listener(port))?;
                if original == destination {
                    write!(f, "and destination {destination} unchanged")
                } else {
                    write!(
                        f,
                        "unchanged, destination rewritten to {destination}, original destination \
                         {original}"
                    )
                }
            }
            Outcome::NotRedirected { to, location } => match location {
                Location::Local => write!(f, "is delivered locally to {to}, not redirected"),
                Location::Remote(interface) => {
                    write!(f, "leaves through {interface} to {to}, not redirected")
                }
            },
            Outcome::Dropped { table, chain, rule } => match rule {
                Some(number) => write!(f, "is dropped by rule {number} of {table} {chain}"),
                None => write!(f, "is dropped by the policy of {table} {chain}"),
            },
            Outcome::Rejected {
                table,
                chain,
                rule,
                with,
            } => write!(
                f,
                "is refused by rule {rule} of {table} {chain}, with {}",
                with.as_str()
            ),
            Outcome::Undecided {
                table,
                chain,
                rule,
                reason,
            } => write!(
                f,
                "cannot be followed past rule {rule} of {table} {chain}: {reason}"
            ),
        }
    }
}

impl PortNames {
    fn name(self, port: Port) -> Cow<'static, str> {
        let mut named = self.0.iter();
        match named.find(|(number, _)| *number == port.get()) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(format!("port {port}")),
        }
    }
}
