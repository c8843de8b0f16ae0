//! Ownership: which rules in a namespace are ours.
//!
//! A chain is ours by its name. A rule in a built-in chain is ours when it jumps to one of our
//! chains, when its comment begins with a prefix of ours, and when it reads or writes one of our
//! TPROXY marks. A rule that only excludes an interface (`-i IF -j RETURN`) contains none of these.
//! If [rules of ours exclude interfaces](Ownership::excludes_interfaces), it is ours where one of
//! our rule sets would put it:
//!
//! - directly before a rule that is ours by the above;
//! - anywhere, if another built-in chain has such a rule of ours for the same interface, or a rule
//!   that jumps to one of our chains names the interface;
//! - at the end of nat `PREROUTING` in a table that has chains of ours, where it has no effect;
//! - anywhere, if it is one of the wanted rules.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::ruleset::{
    BuiltinChain, Chain, ChainName, Mark, Match, Rule, RuleSet, Sense, Table, TableName, Target,
};
use crate::value::InterfaceName;

/// What is ours in a namespace that other programs write to as well.
///
/// The default owns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The names of our chains, in the order in which a listing shows them.
    pub chains: Cow<'static, [ChainName]>,
    /// Marks that are ours by convention, without a chain of ours that sets them. For each, the
    /// mark one above is ours too: TPROXY setups use it for the proxy's own packets.
    pub marks: Cow<'static, [u32]>,
    /// What comments of our rules begin with: a rule with such a comment is ours in a built-in chain
    /// too.
    pub comment_prefixes: Cow<'static, [&'static str]>,
    /// Whether a rule that only excludes an interface can be ours.
    pub excludes_interfaces: bool,
}

impl Ownership {
    /// Whether a chain of that name is ours.
    pub fn has_chain(&self, name: &ChainName) -> bool {
        self.chains.contains(name)
    }

    fn jumps_to_ours(&self, rule: &Rule) -> bool {
        matches!(&rule.target, Target::Jump(chain) if self.has_chain(chain))
    }

    /// The rules in our chains.
    fn rules_in<'found>(
        &self,
        table: &'found Table,
    ) -> impl Iterator<Item = &'found Rule> + use<'found, '_> {
        let ours = table
            .chains
            .iter()
            .filter(|chain| self.has_chain(&chain.name));
        ours.flat_map(|chain| &chain.rules)
    }

    fn has_comment_of_ours(&self, rule: &Rule) -> bool {
        let mut comments = rule.matches.iter().filter_map(Match::as_comment);
        comments.any(|comment| {
            let mut prefixes = self.comment_prefixes.iter();
            prefixes.any(|prefix| comment.starts_with(prefix))
        })
    }

    /// The marks that our chains set for TPROXY, or match.
    fn marks_in<'found>(
        &self,
        table: &'found Table,
    ) -> impl Iterator<Item = u32> + use<'found, '_> {
        self.rules_in(table).filter_map(|rule| match &rule.target {
            Target::Tproxy { mark, .. } => Some(mark.value),
            Target::Return => rule.matches.iter().find_map(|condition| match condition {
                Match::Mark(Sense::Is, mark) => Some(mark.value),
                _ => None,
            }),
            _ => None,
        })
    }
}

/// Only what is ours: our chains with all their rules, and our rules in the built-in chains.
pub fn only_ours(found: &RuleSet, ownership: &Ownership) -> RuleSet {
    let mut only = RuleSet::new(found.family);
    only.routing = found
        .routing
        .filter(|routing| routing_mark(found, ownership) == Some(routing.mark));
    for table in &found.tables {
        for chain in &table.chains {
            let builtin = table.name.builtin(&chain.name);
            let rules = match builtin {
                Some(_) => ours(chain, table, &Table::new(table.name), ownership),
                None if ownership.has_chain(&chain.name) => chain.rules.iter().collect(),
                None => continue,
            };
            if !rules.is_empty() || builtin.is_none() {
                let kept = only.table_mut(table.name).chain_mut(chain.name.clone());
                kept.rules = rules.into_iter().cloned().collect();
            }
        }
    }
    only
}

/// The mark of the policy routing that our rules depend on, if they contain one.
pub fn routing_mark(found: &RuleSet, ownership: &Ownership) -> Option<Mark> {
    found.tables.iter().find_map(|table| {
        let connmark = |rule: &Rule| match rule.target {
            Target::SetConnmark(mark) => Some(mark),
            _ => None,
        };
        let tproxy = ownership.marks_in(table).next().map(Mark::exact);
        tproxy.or_else(|| ownership.rules_in(table).find_map(connmark))
    })
}

/// The rules of a built-in chain that are ours, in their order.
pub(crate) fn ours<'found>(
    chain: &'found Chain,
    found: &'found Table,
    wanted: &Table,
    ownership: &Ownership,
) -> Vec<&'found Rule> {
    let indexed = ours_with_indexes(chain, found, wanted, ownership).into_iter();
    indexed.map(|(_, rule)| rule).collect()
}

/// The same, each with its index in the chain, from 0.
pub(crate) fn ours_with_indexes<'found>(
    chain: &'found Chain,
    found: &'found Table,
    wanted: &Table,
    ownership: &Ownership,
) -> Vec<(usize, &'found Rule)> {
    let owned = Owned::new(found, ownership);
    let interfaces = owned.interfaces(found);
    let wanted = wanted.chain(&chain.name);
    let may_end_with_exclusions = owned.may_end_with_exclusions(chain, found);
    let is_ours = |(index, rule): &(usize, &Rule)| match excluded_interface(rule) {
        Some(interface) if ownership.excludes_interfaces => {
            let rest = &chain.rules[*index..];
            interfaces.contains(interface)
                || owned.leads_to_ours(rest)
                || (may_end_with_exclusions
                    && rest.iter().all(|rule| excluded_interface(rule).is_some()))
        }
        Some(_) | None => owned.contains(rule),
    };
    let is_wanted = |rule: &Rule| {
        wanted.is_some_and(|chain| chain.rules.iter().any(|wanted| wanted.is_equivalent(rule)))
    };
    let rules = chain.rules.iter().enumerate();
    rules
        .filter(|found| is_ours(found) || is_wanted(found.1))
        .collect()
}

/// What identifies a rule of one table as ours.
struct Owned<'run> {
    ownership: &'run Ownership,
    /// Our TPROXY marks: by convention, and those that the table contains.
    marks: BTreeSet<u32>,
}

impl<'run> Owned<'run> {
    fn new(table: &Table, ownership: &'run Ownership) -> Self {
        let marks = ownership.marks_in(table);
        Self {
            ownership,
            marks: marks.chain(ownership.marks.iter().copied()).collect(),
        }
    }

    /// Whether the rule is ours, wherever it is.
    fn contains(&self, rule: &Rule) -> bool {
        self.ownership.jumps_to_ours(rule)
            || self.ownership.has_comment_of_ours(rule)
            || self.uses_marks(rule)
    }

    /// Whether a rule matches one of our marks, or sets the one above it.
    fn uses_marks(&self, rule: &Rule) -> bool {
        let has = |mark: &Mark| self.marks.contains(&mark.value);
        match &rule.target {
            Target::SaveMark | Target::RestoreMark | Target::Return => {
                rule.matches.iter().any(|condition| match condition {
                    Match::Mark(Sense::Is, mark) | Match::Connmark(Sense::Is, mark) => has(mark),
                    _ => false,
                })
            }
            Target::SetMark(mark) => self.marks.contains(&mark.value.wrapping_sub(1)),
            _ => false,
        }
    }

    /// The interfaces that rules of ours in the built-in chains name.
    fn interfaces<'found>(&self, table: &'found Table) -> BTreeSet<&'found InterfaceName> {
        let mut interfaces = BTreeSet::new();
        for chain in &table.chains {
            if table.name.builtin(&chain.name).is_none() {
                continue;
            }
            for (index, rule) in chain.rules.iter().enumerate() {
                match excluded_interface(rule) {
                    Some(interface) if self.leads_to_ours(&chain.rules[index..]) => {
                        interfaces.insert(interface);
                    }
                    None if self.ownership.jumps_to_ours(rule) => {
                        interfaces.extend(rule.matches.iter().find_map(interface));
                    }
                    Some(_) | None => {}
                }
            }
        }
        interfaces
    }

    /// Whether the first rule that does more than exclude an interface is ours.
    fn leads_to_ours(&self, rules: &[Rule]) -> bool {
        let mut others = rules
            .iter()
            .filter(|rule| excluded_interface(rule).is_none());
        others.next().is_some_and(|rule| self.contains(rule))
    }

    /// Whether our exclusions of interfaces may be the last rules of that chain.
    fn may_end_with_exclusions(&self, chain: &Chain, found: &Table) -> bool {
        let mut chains = found.chains.iter();
        found.name == TableName::Nat
            && found.name.builtin(&chain.name) == Some(BuiltinChain::Prerouting)
            && chains.any(|chain| self.ownership.has_chain(&chain.name))
    }
}

/// The interface of a rule that excludes one: `-i IF -j RETURN` or `-o IF -j RETURN`.
fn excluded_interface(rule: &Rule) -> Option<&InterfaceName> {
    match rule.matches.as_slice() {
        [only] if rule.target == Target::Return => interface(only),
        _ => None,
    }
}

fn interface(condition: &Match) -> Option<&InterfaceName> {
    match condition {
        Match::InInterface(Sense::Is, name) | Match::OutInterface(Sense::Is, name) => Some(name),
        _ => None,
    }
}
