//! Going through a rule's expressions with one eye on the registers.

use mesh_cni_netfilter::ruleset::{Counters, Family, Mark, Match, Rule, Target};
use mesh_cni_netfilter::value::Port;

use super::Placed;
use super::elements::{self, Element};
use super::field::{Field, condition, sense, verdict_target};
use crate::compat;
use crate::expression::{CtKey, Expression, MetaKey, Register, Verdict};
use crate::object::Set;

/// What the first register holds.
pub(super) enum Loaded {
    /// Something of the packet, and what was done to it.
    Field {
        field: Field,
        mask: Option<Vec<u8>>,
        xor: Vec<u8>,
    },
    /// Something that the rule itself brought.
    Value(Vec<u8>),
}

pub(super) struct Reader<'sets> {
    family: Family,
    sets: &'sets [Set],
    loaded: Option<Loaded>,
    matches: Vec<Match>,
    /// The elements of a set into which the rule looks.
    folded: Option<Vec<Element>>,
    /// The port of `tproxy`, until the mark and the verdict that go with it.
    proxied: Option<(Port, Option<Mark>)>,
    target: Option<Target>,
}

impl<'sets> Reader<'sets> {
    pub(super) fn new(family: Family, sets: &'sets [Set]) -> Self {
        Self {
            family,
            sets,
            loaded: None,
            matches: Vec::new(),
            folded: None,
            proxied: None,
            target: None,
        }
    }

    /// The rules, or `None` where something is left over.
    pub(super) fn finish(self) -> Option<Vec<Placed>> {
        if self.loaded.is_some() || self.proxied.is_some() {
            return None;
        }
        let target = self.target.unwrap_or_else(|| Target::Opaque(String::new()));
        let Some(folded) = self.folded else {
            let rule = Rule::new(self.matches, target);
            return Some(vec![Placed { rule, place: None }]);
        };
        let unfolded = folded.into_iter().map(|element| {
            let mut matches = self.matches.clone();
            matches.push(element.condition);
            let mut rule = Rule::new(matches, target.clone());
            let (packets, bytes) = element.counter.unwrap_or_default();
            rule.counters = Counters { packets, bytes };
            let place = element.place;
            Placed { rule, place }
        });
        Some(unfolded.collect())
    }

    /// `None` where an expression says something for which the model has no words.
    pub(super) fn take(&mut self, expression: &Expression) -> Option<()> {
        // Nothing comes behind a target.
        if self.target.is_some() {
            return None;
        }
        match expression {
            Expression::Counter { .. } => Some(()),
            Expression::Meta { to, .. }
            | Expression::Payload { to, .. }
            | Expression::Ct { to, .. } => self.load(*to, Field::of(expression, self.family)?),
            Expression::Immediate { to, data } => self.put(*to, Loaded::Value(data.clone())),
            Expression::Bitwise {
                from,
                to,
                mask,
                xor,
            } => self.turn((*from, *to), mask, xor),
            Expression::Compare {
                register,
                comparison,
                data,
            } => {
                let (field, mask) = self.field(*register)?;
                let sense = sense(*comparison)?;
                let read = condition(field, mask.as_deref(), sense, data, self.family)?;
                self.matches.push(read);
                Some(())
            }
            Expression::Lookup { .. } => self.look_up(expression),
            Expression::Match(extension) => {
                self.matches.push(compat::to_match(extension)?);
                Some(())
            }
            Expression::Tproxy { port, .. } => {
                let port = self.port(*port)?;
                self.proxied = Some((port, None));
                Some(())
            }
            _ => self.end(expression),
        }
    }

    /// What a rule does.
    fn end(&mut self, expression: &Expression) -> Option<()> {
        let target = match expression {
            Expression::Verdict(Verdict::Accept) if self.proxied.is_some() => {
                let (port, mark) = self.proxied.take()?;
                Target::Tproxy { port, mark: mark? }
            }
            Expression::Verdict(verdict) => verdict_target(verdict)?,
            Expression::Target(extension) => compat::to_target(extension, self.family)?,
            Expression::Redirect {
                port: Some(port), ..
            } => Target::Redirect(self.port(*port)?),
            Expression::SetMeta {
                key: MetaKey::Mark,
                from,
            } => return self.set_mark(*from),
            Expression::SetCt { key, from } => self.set_ct(*key, *from)?,
            _ => return None,
        };
        self.target = Some(target);
        Some(())
    }

    /// The packet's mark is set: for a target of its own, or for the one of `tproxy`.
    fn set_mark(&mut self, from: Register) -> Option<()> {
        let target = self.mark_target(from)?;
        match (&mut self.proxied, target) {
            (Some((_, wanted)), Target::SetMark(mark)) => *wanted = Some(mark),
            (Some(_), _) => return None,
            (None, target) => self.target = Some(target),
        }
        Some(())
    }

    fn mark_target(&mut self, from: Register) -> Option<Target> {
        Some(match self.take_register(from)? {
            Loaded::Value(value) => Target::SetMark(Mark::exact(number(&value)?)),
            Loaded::Field {
                field: Field::Mark,
                mask,
                xor,
            } => Target::SetMark(Mark {
                value: number(&xor)?,
                mask: !number(&mask?)?,
            }),
            Loaded::Field {
                field: Field::Connmark,
                mask: None,
                ..
            } => Target::RestoreMark,
            Loaded::Field { .. } => return None,
        })
    }

    fn set_ct(&mut self, key: CtKey, from: Register) -> Option<Target> {
        match (key, self.take_register(from)?) {
            (CtKey::Zone, Loaded::Value(value)) => {
                let zone = value.first_chunk().copied().map(u16::from_ne_bytes)?;
                Some(Target::ConntrackZone(zone))
            }
            (
                CtKey::Mark,
                Loaded::Field {
                    field: Field::Mark,
                    mask: None,
                    ..
                },
            ) => Some(Target::SaveMark),
            _ => None,
        }
    }

    fn look_up(&mut self, expression: &Expression) -> Option<()> {
        let Expression::Lookup {
            key,
            set,
            value: None,
            inverted,
            ..
        } = expression
        else {
            return None;
        };
        let (field, mask) = self.field(*key)?;
        let set = self.sets.iter().find(|known| known.name == *set)?;
        if mask.is_some() || self.folded.is_some() {
            return None;
        }
        if set.flags.counting {
            self.folded = Some(elements::unfold(set, field, self.family)?);
            return (!inverted).then_some(());
        }
        self.matches.push(elements::list(set, field, *inverted)?);
        Some(())
    }

    fn load(&mut self, to: Register, field: Field) -> Option<()> {
        let (mask, xor) = (None, Vec::new());
        self.put(to, Loaded::Field { field, mask, xor })
    }

    /// A register that holds something is not written over: that would say something else.
    fn put(&mut self, to: Register, loaded: Loaded) -> Option<()> {
        let free = to == Register::ONE && self.loaded.is_none();
        self.loaded = Some(loaded);
        free.then_some(())
    }

    fn turn(&mut self, registers: (Register, Register), by: &[u8], with: &[u8]) -> Option<()> {
        match &mut self.loaded {
            Some(Loaded::Field {
                mask: mask @ None,
                xor,
                ..
            }) if registers == (Register::ONE, Register::ONE) => {
                *mask = Some(by.to_vec());
                *xor = with.to_vec();
                Some(())
            }
            _ => None,
        }
    }

    /// The field in a register, with its mask; nothing of it may be turned.
    fn field(&mut self, register: Register) -> Option<(Field, Option<Vec<u8>>)> {
        match self.take_register(register)? {
            Loaded::Field { field, mask, xor } => {
                xor.iter().all(|byte| *byte == 0).then_some((field, mask))
            }
            Loaded::Value(_) => None,
        }
    }

    fn port(&mut self, register: Register) -> Option<Port> {
        match self.take_register(register)? {
            Loaded::Value(value) => {
                Port::new(value.first_chunk().copied().map(u16::from_be_bytes)?)
            }
            Loaded::Field { .. } => None,
        }
    }

    fn take_register(&mut self, register: Register) -> Option<Loaded> {
        (register == Register::ONE).then(|| self.loaded.take())?
    }
}

fn number(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_ne_bytes)
}
