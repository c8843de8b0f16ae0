//! One table at one hook: its rules in the order in which the packet meets them, then its policy.

use super::condition::{Judgement, judge};
use super::fate::{Fate, Unjudged};
use super::frames::{Frames, Place};
use super::journey::{Journey, Stopped};
use super::step::{Event, Outcome, Step, Walk};
use super::target::{At, Next, carry_out, only_observes};
use crate::render::rule_spec;
use crate::ruleset::{BuiltinChain, ChainName, Policy, PolicyVerdict, Rule, Table, TableName};

impl Journey<'_> {
    /// One table at one hook: its chain, and those that it calls.
    pub(super) fn table(&mut self, name: TableName, hook: BuiltinChain) -> Result<(), Stopped> {
        let Some(table) = self.rules().and_then(|rules| rules.table(name)) else {
            return Ok(());
        };
        let at = At { table: name, hook };
        let base = ChainName::from(hook);
        let mut frames = Frames::new(table, &base);
        while let Some(place) = frames.next_rule() {
            match self.meet(at, &place, &mut frames)? {
                Next::Rule => {}
                Next::Return => frames.leave(),
                Next::Table => return Ok(()),
                Next::Drop => return Err(dropped(at, &place.chain.name, Some(place.number))),
            }
        }
        self.policy(at, table, &base)
    }

    fn policy(&mut self, at: At, table: &Table, base: &ChainName) -> Result<(), Stopped> {
        let written = table.chain(base).and_then(|chain| chain.policy);
        let verdict = written.unwrap_or(Policy::ACCEPT).verdict;
        self.note(at.table, base, Event::Policy(verdict));
        match verdict {
            PolicyVerdict::Accept => Ok(()),
            PolicyVerdict::Drop => Err(dropped(at, base, None)),
        }
    }

    /// Meets one rule and notes what came of it.
    fn meet(
        &mut self,
        at: At,
        place: &Place<'_>,
        frames: &mut Frames<'_>,
    ) -> Result<Next, Stopped> {
        let judged = match self.one_rule_more() {
            Ok(()) => self.outcome(at, place.rule, frames),
            Err(why) => Err(why),
        };
        let (outcome, next) = match judged {
            Ok((outcome, next)) => (outcome, Ok(next)),
            Err(why) => (
                Outcome::Unjudged(why.clone()),
                Err(undecided(at, place, why)),
            ),
        };
        let event = Event::Rule {
            number: place.number,
            text: rule_spec(place.rule),
            outcome,
        };
        self.note(at.table, &place.chain.name, event);
        next
    }

    fn one_rule_more(&mut self) -> Result<(), Unjudged> {
        self.rules_met += 1;
        if self.rules_met > Walk::MOST_RULES {
            return Err(Unjudged::TooManyRules);
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        at: At,
        rule: &Rule,
        frames: &mut Frames<'_>,
    ) -> Result<(Outcome, Next), Unjudged> {
        match judge(rule, &self.packet) {
            Judgement::Fails(mismatch) => Ok((Outcome::Missed(mismatch), Next::Rule)),
            Judgement::Unknown(why) if only_observes(&rule.target) => {
                Ok((Outcome::Unjudged(why), Next::Rule))
            }
            Judgement::Unknown(why) => Err(why),
            Judgement::Holds => {
                let enter = |chain: &ChainName| frames.enter(chain);
                let (effect, next) =
                    carry_out(&rule.target, &mut self.packet, at, self.host, enter)?;
                Ok((Outcome::Met(effect), next))
            }
        }
    }

    pub(super) fn note(&mut self, table: TableName, chain: &ChainName, event: Event) {
        self.steps.push(Step {
            pass: self.pass,
            table,
            chain: chain.clone(),
            event,
        });
    }
}

fn dropped(at: At, chain: &ChainName, rule: Option<usize>) -> Stopped {
    Stopped(Fate::Dropped {
        table: at.table,
        chain: chain.clone(),
        rule,
    })
}

fn undecided(at: At, place: &Place<'_>, why: Unjudged) -> Stopped {
    Stopped(Fate::Undecided {
        table: at.table,
        chain: place.chain.name.clone(),
        rule: place.number,
        why,
    })
}
