//! A walk in words: one line a rule, and the end in a sentence.

use std::borrow::Cow;
use std::fmt::{self, Display};

use super::fate::{Fate, Place, Unjudged};
use super::step::{Effect, Event, Found, Mismatch, NatSkip, Outcome, Pass, Step, Walk};
use crate::ruleset::{Match, PolicyVerdict};
use crate::value::Port;

/// What ports are called in sentences: `Envoy's outbound listener on 15001`.
///
/// A port without a name is called `port 8080`. The default names no port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortNames(pub &'static [(u16, &'static str)]);

/// A value of a walk, displayed with the names of its ports.
#[derive(Clone, Copy, Debug)]
pub struct Named<'walk, T> {
    value: &'walk T,
    names: PortNames,
}

impl Walk {
    /// The walk as text, with these names for ports.
    pub fn display(&self, names: PortNames) -> Named<'_, Self> {
        Named { value: self, names }
    }
}

impl Fate {
    /// The sentence at the end of a walk, without a full stop, with these names for ports.
    pub fn display(&self, names: PortNames) -> Named<'_, Self> {
        Named { value: self, names }
    }
}

impl Display for Named<'_, Walk> {
    /// The packet, a line for each rule in columns, and the end.
    ///
    /// Policies are left out unless they discard the packet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walk = self.value;
        writeln!(f, "{}", walk.packet)?;
        let lines: Vec<_> = walk.steps.iter().filter(|step| is_told(step)).collect();
        let width = |column: fn(&Step) -> String| {
            let widths = lines.iter().map(|step| column(step).chars().count());
            widths.max().unwrap_or(0)
        };
        let (place, rule) = (width(Step::place), width(Step::rule));
        let mut pass = Pass::First;
        for step in lines {
            if step.pass != pass {
                writeln!(f, "again, in by lo")?;
                pass = step.pass;
            }
            let (at, written, came) = (step.place(), step.rule(), step.outcome());
            writeln!(f, "  {at:place$}  {written:rule$}  {came}")?;
        }
        writeln!(f, "{}", walk.fate.display(self.names))
    }
}

/// Whether a line is worth reading: a policy that lets the packet pass is not.
fn is_told(step: &Step) -> bool {
    match &step.event {
        Event::Rule { .. } | Event::NatSkipped(_) | Event::Policy(PolicyVerdict::Drop) => true,
        Event::Policy(PolicyVerdict::Accept) => false,
    }
}

impl Step {
    /// Where it was: `nat ISTIO_OUTPUT 3`.
    pub fn place(&self) -> String {
        let (table, chain) = (self.table, &self.chain);
        match &self.event {
            Event::Rule { number, .. } => format!("{table} {chain} {number}"),
            Event::Policy(_) | Event::NatSkipped(_) => format!("{table} {chain}"),
        }
    }

    /// The rule as iptables writes it; `policy DROP`; empty for a chain that was not asked.
    pub fn rule(&self) -> String {
        match &self.event {
            Event::Rule { text, .. } => text.clone(),
            Event::Policy(verdict) => format!("policy {verdict}"),
            Event::NatSkipped(_) => String::new(),
        }
    }

    /// What came of it, in words.
    pub fn outcome(&self) -> String {
        match &self.event {
            Event::Rule { outcome, .. } => outcome.to_string(),
            Event::Policy(PolicyVerdict::Accept) => "passes".to_owned(),
            Event::Policy(PolicyVerdict::Drop) => "discarded".to_owned(),
            Event::NatSkipped(why) => why.to_string(),
        }
    }
}

impl Display for Step {
    /// Place, rule and outcome, blanks between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.place(), self.rule(), self.outcome())
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed(mismatch) => write!(f, "no: {mismatch}"),
            Self::Met(effect) => write!(f, "yes: {effect}"),
            Self::Unjudged(why) => write!(f, "unknown: {why}"),
        }
    }
}

impl Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("leaves the chain"),
            Self::Accepted => f.write_str("accepted"),
            Self::Dropped => f.write_str("discarded"),
            Self::Jumped(chain) => write!(f, "on to {chain}"),
            Self::Redirected(to) => write!(f, "destination becomes {to}"),
            Self::Tproxied { port, mark } => {
                write!(f, "handed to the listener on {port}, mark {mark:#x}")
            }
            Self::Marked(mark) => write!(f, "mark becomes {mark:#x}"),
            Self::MarkSaved(mark) => write!(f, "mark of the connection becomes {mark:#x}"),
            Self::MarkRestored(mark) => write!(f, "mark becomes the connection's, {mark:#x}"),
            Self::NoConnection => f.write_str("nothing, there is no connection"),
            Self::Zone(zone) => write!(f, "tracked in zone {zone}"),
            Self::ZoneSettled(zone) => write!(f, "nothing, zone {zone} is settled"),
            Self::Observed => f.write_str("goes on"),
        }
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.found, &self.condition) {
            (Found::Mark(mark), Match::Mark(_, wanted)) => {
                write!(f, "mark is {}", masked(*mark, wanted.mask))
            }
            (Found::Connmark(Some(mark)), Match::Connmark(_, wanted)) => {
                write!(
                    f,
                    "mark of the connection is {}",
                    masked(*mark, wanted.mask)
                )
            }
            (found, _) => found.fmt(f),
        }
    }
}

/// A mark, and what the mask leaves of it where that is less.
fn masked(found: u32, bits: u32) -> String {
    match found & bits {
        rest if rest == found => format!("{found:#x}"),
        rest => format!("{found:#x}, {rest:#x} behind the mask"),
    }
}

impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(address) => write!(f, "source is {address}"),
            Self::Destination(address) => write!(f, "destination is {address}"),
            Self::InInterface(Some(name)) => write!(f, "comes in by {name}"),
            Self::InInterface(None) => f.write_str("sent here"),
            Self::OutInterface(Some(name)) => write!(f, "leaves by {name}"),
            Self::OutInterface(None) => f.write_str("arriving"),
            Self::Protocol(protocol) => write!(f, "protocol is {protocol}"),
            Self::SourcePort(port) => write!(f, "source port is {port}"),
            Self::DestinationPort(port) => write!(f, "destination port is {port}"),
            Self::OwnerUid(Some(user)) => write!(f, "sent by user {user}"),
            Self::OwnerGid(Some(group)) => write!(f, "sent by group {group}"),
            Self::OwnerUid(None) | Self::OwnerGid(None) => f.write_str("no owner to be seen"),
            Self::Mark(mark) => write!(f, "mark is {mark:#x}"),
            Self::Connmark(Some(mark)) => write!(f, "mark of the connection is {mark:#x}"),
            Self::Connmark(None) => f.write_str("no connection"),
            Self::State(state) => write!(f, "state is {}", state.as_str()),
        }
    }
}

impl Display for NatSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SettledBefore => f.write_str("not asked: settled on the first pass"),
            Self::Later(None) => f.write_str("not asked: a later packet of its connection"),
            Self::Later(Some(to)) => write!(
                f,
                "not asked: a later packet of its connection, destination becomes {to}"
            ),
            Self::NoConnection => f.write_str("not asked: no connection"),
        }
    }
}

impl Display for Unjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(words) => write!(f, "whether `{words}` holds is not known"),
            Self::Target(words) => write!(f, "what `{words}` does is not known"),
            Self::MissingChain(chain) => write!(f, "there is no chain {chain}"),
            Self::Loop(chain) => write!(f, "chain {chain} calls itself"),
            Self::Misplaced => f.write_str("the kernel refuses this target here"),
            Self::NoAddress(name) => write!(f, "the address of {name} is not known"),
            Self::TooManyRules => {
                write!(f, "more than {} rules were met", Walk::MOST_RULES)
            }
        }
    }
}

impl Display for Named<'_, Fate> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = |port: &Port| self.names.name(*port);
        match self.value {
            Fate::RedirectedTo { port, original, .. } => {
                let listener = listener(port);
                write!(f, "goes to {listener}, original destination {original}")
            }
            Fate::Tproxied {
                port,
                source,
                destination,
                original,
            } if original != destination => write!(
                f,
                "goes to {}, source {source} unchanged, destination rewritten to {destination}, \
                 original destination {original}",
                listener(port)
            ),
            Fate::Tproxied {
                port,
                source,
                destination,
                ..
            } => {
                let listener = listener(port);
                write!(
                    f,
                    "goes to {listener}, source {source} and destination {destination} unchanged"
                )
            }
            Fate::AsAddressed { to, place } => match place {
                Place::Here => write!(f, "goes to {to} in the pod, as addressed"),
                Place::Beyond(interface) => {
                    write!(f, "leaves by {interface} to {to}, as addressed")
                }
            },
            Fate::Dropped { table, chain, rule } => match rule {
                Some(number) => write!(f, "is discarded by rule {number} of {table} {chain}"),
                None => write!(f, "is discarded by the policy of {table} {chain}"),
            },
            Fate::Undecided {
                table,
                chain,
                rule,
                why,
            } => write!(
                f,
                "cannot be followed beyond rule {rule} of {table} {chain}: {why}"
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
