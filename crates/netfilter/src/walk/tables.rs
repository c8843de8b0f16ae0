//! One table at one hook: its rules in order, then the policy.

use super::chain_stack::{ChainStack, NumberedRule};
use super::condition::{RuleMatch, evaluate};
use super::outcome::{Outcome, UndecidedReason};
use super::simulation::{Ended, Simulation};
use super::step::{Event, RuleResult, Step, Walk};
use super::target::{Hook, Next, apply, has_no_effect};
use crate::render::rule_spec;
use crate::ruleset::{BuiltinChain, ChainName, Policy, PolicyVerdict, Rule, Table, TableName};

impl Simulation<'_> {
    /// Traverses the built-in chain of one table, and the chains that it calls.
    pub(super) fn table(&mut self, name: TableName, chain: BuiltinChain) -> Result<(), Ended> {
        let Some(table) = self.rules().and_then(|rules| rules.table(name)) else {
            return Ok(());
        };
        let hook = Hook { table: name, chain };
        let base = ChainName::from(chain);
        let mut stack = ChainStack::new(table, &base);
        while let Some(rule) = stack.next_rule() {
            match self.check(hook, &rule, &mut stack)? {
                Next::Rule => {}
                Next::Return => stack.pop(),
                Next::Table => return Ok(()),
                Next::Reject(with) => {
                    return Err(Ended(Outcome::Rejected {
                        table: name,
                        chain: rule.chain.name.clone(),
                        rule: rule.number,
                        with,
                    }));
                }
                Next::Drop => return Err(dropped(hook, &rule.chain.name, Some(rule.number))),
            }
        }
        self.policy(hook, table, &base)
    }

    fn policy(&mut self, hook: Hook, table: &Table, base: &ChainName) -> Result<(), Ended> {
        let policy = table.chain(base).and_then(|chain| chain.policy);
        let verdict = policy.unwrap_or(Policy::ACCEPT).verdict;
        self.record(hook.table, base, Event::Policy(verdict));
        match verdict {
            PolicyVerdict::Accept => Ok(()),
            PolicyVerdict::Drop => Err(dropped(hook, base, None)),
        }
    }

    /// Checks one rule and records the result.
    fn check(
        &mut self,
        hook: Hook,
        place: &NumberedRule<'_>,
        stack: &mut ChainStack<'_>,
    ) -> Result<Next, Ended> {
        let checked = self
            .count_rule()
            .and_then(|()| self.evaluate(hook, place.rule, stack));
        let (result, next) = match checked {
            Ok((result, next)) => (result, Ok(next)),
            Err(reason) => (
                RuleResult::Undecided(reason.clone()),
                Err(undecided(hook, place, reason)),
            ),
        };
        let mut shown = place.rule.clone();
        shown.remove_comments();
        let event = Event::Rule {
            number: place.number,
            text: rule_spec(&shown),
            result,
        };
        self.record(hook.table, &place.chain.name, event);
        next
    }

    fn count_rule(&mut self) -> Result<(), UndecidedReason> {
        self.rules_checked += 1;
        if self.rules_checked > Walk::MAX_RULES {
            return Err(UndecidedReason::TooManyRules);
        }
        Ok(())
    }

    fn evaluate(
        &mut self,
        hook: Hook,
        rule: &Rule,
        stack: &mut ChainStack<'_>,
    ) -> Result<(RuleResult, Next), UndecidedReason> {
        match evaluate(rule, &self.packet) {
            RuleMatch::NotMatched(mismatch) => Ok((RuleResult::NotMatched(mismatch), Next::Rule)),
            RuleMatch::Unknown(reason) if has_no_effect(&rule.target) => {
                Ok((RuleResult::Undecided(reason), Next::Rule))
            }
            RuleMatch::Unknown(reason) => Err(reason),
            RuleMatch::Matched => {
                let jump = |chain: &ChainName| stack.push(chain);
                let (effect, next) =
                    apply(&rule.target, &mut self.packet, hook, self.addresses, jump)?;
                Ok((RuleResult::Matched(effect), next))
            }
        }
    }

    pub(super) fn record(&mut self, table: TableName, chain: &ChainName, event: Event) {
        self.steps.push(Step {
            pass: self.pass,
            table,
            chain: chain.clone(),
            event,
        });
    }
}

fn dropped(hook: Hook, chain: &ChainName, rule: Option<usize>) -> Ended {
    Ended(Outcome::Dropped {
        table: hook.table,
        chain: chain.clone(),
        rule,
    })
}

fn undecided(hook: Hook, place: &NumberedRule<'_>, reason: UndecidedReason) -> Ended {
    Ended(Outcome::Undecided {
        table: hook.table,
        chain: place.chain.name.clone(),
        rule: place.number,
        reason,
    })
}
