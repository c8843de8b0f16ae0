//! Parse — a rule set from what `iptables-save` and `ip6tables-save` print, counters or not.

mod rule_words;
mod words;

use thiserror::Error;

use crate::ruleset::{
    Chain, ChainName, Counters, Family, InvalidChainName, Policy, PolicyVerdict, Rule, RuleSet,
    Table, TableName,
};
use words::{UnbalancedQuote, split};

/// A text that `iptables-save` would not print.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of the saved rules, `{text}`")]
#[non_exhaustive]
pub struct InvalidSave {
    /// Which line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What can be wrong with a line of saved rules.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A chain or a rule stands outside a table.
    #[error("no table is open: a line such as `*nat` must come first")]
    NoTable,
    /// The end came before `COMMIT`: the text was cut off.
    #[error("the text ends before the table's COMMIT")]
    NoCommit,
    /// A rule names a chain that the table does not declare.
    #[error("chain `{0}` is not declared in this table")]
    UnknownChain(String),
    /// The chain's name could not exist.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// The chain's policy is none.
    #[error("`{0}` is no policy: allowed are ACCEPT, DROP and -")]
    Policy(String),
    /// The counters are not `[packets:bytes]`.
    #[error("`{0}` are no counters: allowed are [PACKETS:BYTES]")]
    Counters(String),
    /// A quotation does not end.
    #[error("a quotation does not end")]
    Quote,
    /// The line is no table, chain, rule or comment.
    #[error("this is no table, chain, rule or comment")]
    Line,
}

/// Reads the tables that interception uses; other tables (`security`) are passed over.
///
/// What this crate could not have written itself is kept in its own words, as
/// [`Match::Opaque`](crate::ruleset::Match::Opaque) and
/// [`Target::Opaque`](crate::ruleset::Target::Opaque), so that nothing that stands in the
/// namespace is lost.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::{parse, ruleset::Family};
///
/// let text = "*nat\n:OUTPUT ACCEPT [0:0]\n[3:180] -A OUTPUT -p tcp -j RETURN\nCOMMIT\n";
/// let rules = parse::save(text, Family::V4).unwrap();
/// assert_eq!(rules.tables[0].chains[0].rules[0].counters.packets, 3);
/// ```
pub fn save(text: &str, family: Family) -> Result<RuleSet, InvalidSave> {
    let mut reading = Reading {
        rules: RuleSet::new(family),
        table: Open::None,
    };
    let mut last = (0, "");
    for (line, number) in text.lines().zip(1..) {
        reading.line(line.trim()).map_err(|problem| InvalidSave {
            line: number,
            text: line.to_owned(),
            problem,
        })?;
        last = (number, line);
    }
    match reading.table {
        Open::None => Ok(reading.rules),
        Open::Known(_) | Open::PassedOver => Err(InvalidSave {
            line: last.0,
            text: last.1.to_owned(),
            problem: Problem::NoCommit,
        }),
    }
}

struct Reading {
    rules: RuleSet,
    table: Open,
}

enum Open {
    None,
    PassedOver,
    Known(TableName),
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('*') {
            self.table = TableName::from_name(name).map_or(Open::PassedOver, Open::Known);
            return Ok(());
        }
        let table = match self.table {
            Open::None => return Err(Problem::NoTable),
            Open::PassedOver if line == "COMMIT" => {
                self.table = Open::None;
                return Ok(());
            }
            Open::PassedOver => return Ok(()),
            Open::Known(name) => name,
        };
        if line == "COMMIT" {
            self.table = Open::None;
            return Ok(());
        }
        let table = self.rules.table_mut(table);
        match line.strip_prefix(':') {
            Some(declaration) => declare(table, declaration),
            None => append(table, line),
        }
    }
}

/// `PREROUTING ACCEPT [0:0]`, `ISTIO_OUTPUT - [0:0]`.
fn declare(table: &mut Table, declaration: &str) -> Result<(), Problem> {
    let mut words = declaration.split_whitespace();
    let (Some(name), Some(policy), brackets) = (words.next(), words.next(), words.next()) else {
        return Err(Problem::Line);
    };
    let verdict = match policy {
        "-" => None,
        "ACCEPT" => Some(PolicyVerdict::Accept),
        "DROP" => Some(PolicyVerdict::Drop),
        other => return Err(Problem::Policy(other.to_owned())),
    };
    let counters = brackets.map_or(Ok(Counters::ZERO), counters)?;
    let mut chain = Chain::new(ChainName::new(name)?);
    chain.policy = verdict.map(|verdict| Policy { verdict, counters });
    table.chains.push(chain);
    Ok(())
}

/// `[1:60] -A ISTIO_OUTPUT -p tcp -j RETURN`, or the same without counters.
fn append(table: &mut Table, line: &str) -> Result<(), Problem> {
    let words = split(line).map_err(|UnbalancedQuote| Problem::Quote)?;
    let (counted, words) = match words.as_slice() {
        [brackets, rest @ ..] if brackets.starts_with('[') => (counters(brackets)?, rest),
        all => (Counters::ZERO, all),
    };
    let [option, name, spec @ ..] = words else {
        return Err(Problem::Line);
    };
    if option != "-A" {
        return Err(Problem::Line);
    }
    let at = table
        .chains
        .iter()
        .position(|chain| chain.name.as_str() == name);
    let at = at.ok_or_else(|| Problem::UnknownChain(name.clone()))?;
    let is_chain = |name: &str| table.chains.iter().any(|chain| chain.name.as_str() == name);
    let (matches, target) = rule_words::read(spec, is_chain);
    let mut rule = Rule::new(matches, target);
    rule.counters = counted;
    table.chains[at].rules.push(rule);
    Ok(())
}

fn counters(text: &str) -> Result<Counters, Problem> {
    let read = || {
        let (packets, bytes) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
        Some(Counters {
            packets: packets.parse().ok()?,
            bytes: bytes.parse().ok()?,
        })
    };
    read().ok_or_else(|| Problem::Counters(text.to_owned()))
}
