//! A walk as text of limited width, with only the rules that matched.

use std::fmt::{self, Display};

use super::display::PortNames;
use super::step::{Event, Pass, RuleResult, Step, Walk};
use crate::ruleset::PolicyVerdict;

/// The most columns of a line.
const COLUMNS: usize = 100;

/// What the second and further lines of a wrapped line begin with.
const CONTINUED: &str = "      ";

/// The rules of a walk that matched. Displayed, no line has more than 100 columns.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'walk> {
    walk: &'walk Walk,
    names: PortNames,
}

impl Walk {
    /// The walk as text: the packet, each rule that matched or is not known to match, a policy that
    /// drops the packet, and the outcome.
    pub fn display_matched(&self, names: PortNames) -> Matched<'_> {
        Matched { walk: self, names }
    }
}

impl Display for Matched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walk = self.walk;
        wrapped(f, &walk.packet.to_string())?;
        let mut pass = Pass::First;
        for step in walk.steps.iter().filter(|step| step.is_matched()) {
            if step.pass != pass {
                writeln!(f, "second pass, arrives through lo")?;
                pass = step.pass;
            }
            let (location, rule, result) = (step.location(), step.rule(), step.result());
            let line = format!("  {location}  {rule}  {result}");
            if width(&line) <= COLUMNS {
                writeln!(f, "{line}")?;
            } else {
                wrapped(f, &format!("  {location}  {rule}"))?;
                wrapped(f, &format!("{CONTINUED}{result}"))?;
            }
        }
        wrapped(f, &walk.outcome.display(self.names).to_string())
    }
}

impl Step {
    /// Whether this is a rule that matched or is not known to match, or a policy that dropped the
    /// packet.
    pub fn is_matched(&self) -> bool {
        match &self.event {
            Event::Rule { result, .. } => !matches!(result, RuleResult::NotMatched(_)),
            Event::Policy(verdict) => *verdict == PolicyVerdict::Drop,
            Event::NatSkipped(_) => false,
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Writes lines that end at a blank, or within a word that is longer than a line.
fn wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut rest = text;
    let mut indent = "";
    while width(indent) + width(rest) > COLUMNS {
        let room = COLUMNS - width(indent);
        let full = rest
            .char_indices()
            .nth(room)
            .map_or(rest.len(), |(at, _)| at);
        let start = rest.len() - rest.trim_start().len();
        let end = match rest[..full].rfind(' ') {
            Some(blank) if blank > start => blank,
            _ => full,
        };
        writeln!(f, "{indent}{}", &rest[..end])?;
        rest = rest[end..].trim_start();
        indent = CONTINUED;
    }
    writeln!(f, "{indent}{rest}")
}
