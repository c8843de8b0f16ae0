//! Parses a listing from text.

use thiserror::Error;

use super::{Heading, ListedChain, ListedRule, Listing};
use crate::ruleset::{Counters, PolicyVerdict};
use crate::value::excerpt;

/// A text that is not a listing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of the listing, `{}`: {problem}", excerpt(text, 1))]
#[non_exhaustive]
pub struct InvalidListing {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A rule or column heading comes before the first chain.
    #[error(
        "a chain must begin before this line, as in `Chain PREROUTING (policy ACCEPT 0 packets, 0 bytes)`"
    )]
    NoChain,
    /// The brackets of a chain contain neither policy nor references.
    #[error("the brackets must contain a policy with its counters, or a number of references")]
    Heading,
    /// A column of the rule is missing, or a counter is not a number.
    #[error(
        "a rule has num, pkts, bytes, target, prot, opt, in, out, source and destination, \
         as `iptables -L -n -v --line-numbers -x` prints them"
    )]
    Columns,
    /// The rules of a chain are not numbered 1, 2, 3.
    #[error("the rules of a chain must be numbered from 1 without a gap")]
    Number,
}

pub(super) fn parse(text: &str) -> Result<Listing, InvalidListing> {
    let mut chains: Vec<ListedChain> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        read_line(&mut chains, line).map_err(|problem| InvalidListing {
            line: number,
            text: line.to_owned(),
            problem,
        })?;
    }
    Ok(Listing { chains })
}

fn read_line(chains: &mut Vec<ListedChain>, line: &str) -> Result<(), Problem> {
    let words: Vec<_> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => Ok(()),
        ["Chain", name, ..] => {
            let heading = heading(line).ok_or(Problem::Heading)?;
            chains.push(ListedChain {
                name: (*name).to_owned(),
                heading,
                rules: Vec::new(),
            });
            Ok(())
        }
        ["num", "pkts", "bytes", ..] => chains.last().map(|_| ()).ok_or(Problem::NoChain),
        words => {
            let chain = chains.last_mut().ok_or(Problem::NoChain)?;
            let rule = rule(words).ok_or(Problem::Columns)?;
            if rule.number != chain.rules.len() + 1 {
                return Err(Problem::Number);
            }
            chain.rules.push(rule);
            Ok(())
        }
    }
}

fn heading(line: &str) -> Option<Heading> {
    // The name of a chain may contain a bracket, but no space.
    let (_, brackets) = line.trim_end().rsplit_once(" (")?;
    let brackets = brackets.strip_suffix(')')?;
    let words: Vec<_> = brackets.split_whitespace().collect();
    match words.as_slice() {
        ["policy", verdict, packets, "packets,", bytes, "bytes"] => {
            let verdict = match *verdict {
                "ACCEPT" => PolicyVerdict::Accept,
                "DROP" => PolicyVerdict::Drop,
                _ => return None,
            };
            Some(Heading::Policy(verdict, counters(packets, bytes)?))
        }
        [count, "references"] => Some(Heading::References(count.parse().ok()?)),
        _ => None,
    }
}

fn counters(packets: &str, bytes: &str) -> Option<Counters> {
    Some(Counters {
        packets: packets.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

fn rule(words: &[&str]) -> Option<ListedRule> {
    let [number, packets, bytes, rest @ ..] = words else {
        return None;
    };
    // Without a target, that column is empty and `opt` comes one word earlier.
    let (target, rest) = match rest {
        [_, options, ..] if is_options(options) => ("", rest),
        [target, rest @ ..] => (*target, rest),
        [] => return None,
    };
    let [
        protocol,
        options,
        in_interface,
        out_interface,
        source,
        destination,
        details @ ..,
    ] = rest
    else {
        return None;
    };
    is_options(options).then_some(())?;
    Some(ListedRule {
        number: number.parse().ok()?,
        counters: counters(packets, bytes)?,
        target: target.to_owned(),
        protocol: (*protocol).to_owned(),
        options: (*options).to_owned(),
        in_interface: (*in_interface).to_owned(),
        out_interface: (*out_interface).to_owned(),
        source: (*source).to_owned(),
        destination: (*destination).to_owned(),
        details: details.join(" "),
    })
}

fn is_options(word: &str) -> bool {
    matches!(word, "--" | "-f" | "!f")
}
