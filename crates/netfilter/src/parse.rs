//! Parses the output of `iptables-save` and `ip6tables-save`, with or without counters.

mod quoting;
mod rule_spec;

use thiserror::Error;

use crate::ruleset::{
    Chain, ChainName, Counters, Family, InvalidChainName, Policy, PolicyVerdict, Rule, RuleSet,
    Table, TableName,
};
use crate::value::excerpt;
use quoting::{UnbalancedQuote, split};

/// A text that is not the output of `iptables-save`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of the saved rules, `{}`", excerpt(text, 1))]
#[non_exhaustive]
pub struct InvalidSave {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a line of saved rules.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A chain or a rule comes before the first table.
    #[error("a table must begin before this line, such as `*nat`")]
    NoTable,
    /// The text ends before `COMMIT`.
    #[error("the text ends before the table's COMMIT")]
    NoCommit,
    /// A rule names a chain that the table does not declare.
    #[error("chain `{}` is not declared in this table", excerpt(.0, 1))]
    UnknownChain(String),
    /// The table declares the chain twice.
    #[error("chain `{0}` is declared twice in this table")]
    Twice(ChainName),
    /// A rule comes before the declaration: whether it jumps to the chain would not be known.
    #[error("chain `{0}` is declared after a rule of this table")]
    AfterRule(ChainName),
    /// The name of the chain is not valid.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// The policy is not valid.
    #[error("`{}` is not a valid policy: allowed are ACCEPT, DROP and -", excerpt(.0, 1))]
    Policy(String),
    /// The counters are not `[packets:bytes]`.
    #[error("`{}` is not a valid pair of counters: allowed is [PACKETS:BYTES]", excerpt(.0, 1))]
    Counters(String),
    /// A quoted word has no end.
    #[error("a quoted word has no end")]
    Quote,
    /// The line is not a table, a chain, a rule or a comment.
    #[error("the line is not a table, a chain, a rule or a comment")]
    Line,
}

/// Parses the tables that this crate knows, and skips other tables (`security`).
///
/// Conditions and targets that this crate does not know are kept as text, in
/// [`Match::Opaque`](crate::ruleset::Match::Opaque) and
/// [`Target::Opaque`](crate::ruleset::Target::Opaque), so that no rule is lost.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::{Family, parse};
///
/// let text = "*nat\n:OUTPUT ACCEPT [0:0]\n[3:180] -A OUTPUT -p tcp -j RETURN\nCOMMIT\n";
/// let rules = parse::save(text, Family::V4).unwrap();
/// assert_eq!(rules.tables[0].chains[0].rules[0].counters.packets, 3);
/// ```
pub fn save(text: &str, family: Family) -> Result<RuleSet, InvalidSave> {
    let mut parser = Parser {
        rules: RuleSet::new(family),
        table: CurrentTable::None,
    };
    let mut last = (0, "");
    for (line, number) in text.lines().zip(1..) {
        parser.line(line.trim()).map_err(|problem| InvalidSave {
            line: number,
            text: line.to_owned(),
            problem,
        })?;
        last = (number, line);
    }
    match parser.table {
        CurrentTable::None => Ok(parser.rules),
        CurrentTable::Known(_) | CurrentTable::Skipped => Err(InvalidSave {
            line: last.0,
            text: last.1.to_owned(),
            problem: Problem::NoCommit,
        }),
    }
}

struct Parser {
    rules: RuleSet,
    table: CurrentTable,
}

enum CurrentTable {
    None,
    Skipped,
    Known(TableName),
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix('*') {
            self.table =
                TableName::from_name(name).map_or(CurrentTable::Skipped, CurrentTable::Known);
            return Ok(());
        }
        let table = match self.table {
            CurrentTable::None => return Err(Problem::NoTable),
            CurrentTable::Skipped if line == "COMMIT" => {
                self.table = CurrentTable::None;
                return Ok(());
            }
            CurrentTable::Skipped => return Ok(()),
            CurrentTable::Known(name) => name,
        };
        if line == "COMMIT" {
            self.table = CurrentTable::None;
            return Ok(());
        }
        let table = self.rules.table_mut(table);
        match line.strip_prefix(':') {
            Some(declaration) => declare(table, declaration),
            None => append(table, line),
        }
    }
}

/// `PREROUTING ACCEPT [0:0]`, `DOCKER - [0:0]`.
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
    let mut chain = Chain::new(table.name, ChainName::new(name)?);
    if table.chain(&chain.name).is_some() {
        return Err(Problem::Twice(chain.name));
    }
    if table.chains.iter().any(|chain| !chain.rules.is_empty()) {
        return Err(Problem::AfterRule(chain.name));
    }
    chain.policy = verdict.map(|verdict| Policy { verdict, counters });
    table.chains.push(chain);
    Ok(())
}

/// `[1:60] -A OUTPUT -p tcp -j RETURN`, or the same without counters.
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
    let index_of = |name: &str| {
        let mut chains = table.chains.iter();
        chains.position(|chain| chain.name.as_str() == name)
    };
    let index = index_of(name).ok_or_else(|| Problem::UnknownChain(name.clone()))?;
    let is_chain = |name: &str| index_of(name).is_some();
    let (matches, target) = rule_spec::parse(spec, is_chain);
    let mut rule = Rule::new(matches, target);
    rule.counters = counted;
    table.chains[index].rules.push(rule);
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
