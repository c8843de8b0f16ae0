//! Reads a rule's expressions one by one and tracks what the register holds.

use mesh_cni_netfilter::ruleset::{Counters, Family, Mark, Match, RejectWith, Rule, Target};
use mesh_cni_netfilter::value::Port;

use super::elements::{self, UnfoldedElement};
use crate::condition::{self, number};
use crate::expression::{CtKey, Expression, MetaKey, Register, Verdict};
use crate::extension;
use crate::field::Field;
use crate::object::Set;
use crate::uapi::netfilter::icmpv6::ICMPV6_ADM_PROHIBITED;
use crate::uapi::nf_tables::{NFT_BYTEORDER_HTON, NFT_REJECT_ICMP_UNREACH, NFT_REJECT_TCP_RST};

/// A rule, with its position among the rules that were folded into one.
pub(crate) struct PlacedRule {
    pub(crate) rule: Rule,
    pub(crate) place: Option<u16>,
}

/// The content of the first register.
enum Loaded {
    /// A field of the packet, and the bitwise operation on it.
    Field {
        field: Field,
        mask: Option<Vec<u8>>,
        xor: Vec<u8>,
    },
    /// A number of the packet in network byte order.
    Swapped(Field),
    /// A constant.
    Value(Vec<u8>),
}

impl Loaded {
    /// The mark that this writes to the field: a constant, or the field itself with other bits.
    fn written_to(&self, to: Field) -> Option<Mark> {
        match self {
            Self::Value(value) => Some(Mark::exact(number(value)?)),
            Self::Field {
                field,
                mask: Some(mask),
                xor,
            } if *field == to => Some(Mark {
                value: number(xor)?,
                mask: !number(mask)?,
            }),
            Self::Field { .. } | Self::Swapped(_) => None,
        }
    }
}

pub(super) struct Reader<'sets> {
    family: Family,
    sets: &'sets [Set],
    loaded: Option<Loaded>,
    matches: Vec<Match>,
    /// The elements of the counting set that the rule looks into.
    folded: Option<Vec<UnfoldedElement>>,
    /// The port of `tproxy`, until the mark and the verdict that follow it.
    tproxy: Option<(Port, Option<Mark>)>,
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
            tproxy: None,
            target: None,
        }
    }

    /// The rules; `None` if the expressions are incomplete.
    pub(super) fn finish(self) -> Option<Vec<PlacedRule>> {
        if self.loaded.is_some() || self.tproxy.is_some() {
            return None;
        }
        let target = self.target.unwrap_or_else(|| Target::Opaque(String::new()));
        let Some(folded) = self.folded else {
            let rule = Rule::new(self.matches, target);
            return Some(vec![PlacedRule { rule, place: None }]);
        };
        let rules = folded.into_iter().map(|element| {
            let mut matches = self.matches.clone();
            matches.push(element.condition);
            let mut rule = Rule::new(matches, target.clone());
            let (packets, bytes) = element.counter.unwrap_or_default();
            rule.counters = Counters { packets, bytes };
            let place = element.place;
            PlacedRule { rule, place }
        });
        Some(rules.collect())
    }

    /// `None` if the rule model has no equivalent of the expression.
    pub(super) fn read(&mut self, expression: &Expression) -> Option<()> {
        // A target is the last expression of a rule.
        if self.target.is_some() {
            return None;
        }
        match expression {
            Expression::Counter { .. } => Some(()),
            Expression::Meta { to, .. }
            | Expression::Payload { to, .. }
            | Expression::Ct { to, .. } => {
                let (mask, xor) = (None, Vec::new());
                let field = Field::loaded_by(expression, self.family)?;
                self.load(*to, Loaded::Field { field, mask, xor })
            }
            Expression::Immediate { to, data } => self.load(*to, Loaded::Value(data.clone())),
            Expression::Bitwise {
                from,
                to,
                mask,
                xor,
            } => self.apply_bitwise((*from, *to), mask, xor),
            Expression::Compare {
                register,
                comparison,
                data,
            } => {
                let (field, mask) = self.take_field(*register)?;
                let mask = mask.as_deref();
                let condition = condition::read(field, mask, *comparison, data, self.family)?;
                self.matches.push(condition);
                Some(())
            }
            Expression::Range {
                register,
                comparison,
                first,
                last,
            } => {
                let read = match self.take_register(*register)? {
                    Loaded::Swapped(field) => condition::ids(field, *comparison, first, last),
                    Loaded::Field {
                        field, mask: None, ..
                    } => condition::ports(field, *comparison, first, last),
                    Loaded::Field { .. } | Loaded::Value(_) => None,
                };
                self.matches.push(read?);
                Some(())
            }
            Expression::ByteOrder {
                from,
                to,
                direction: NFT_BYTEORDER_HTON,
                length: 4,
                size: 4,
            } => match self.take_field(*from)? {
                (field, None) => self.load(*to, Loaded::Swapped(field)),
                _ => None,
            },
            Expression::Lookup { .. } => self.look_up(expression),
            Expression::Match(called) => {
                self.matches.extend(extension::to_matches(called)?);
                Some(())
            }
            Expression::Tproxy { port, .. } => {
                self.tproxy = Some((self.take_port(*port)?, None));
                Some(())
            }
            _ => self.read_target(expression),
        }
    }

    fn read_target(&mut self, expression: &Expression) -> Option<()> {
        let target = match expression {
            Expression::Verdict(Verdict::Accept) if self.tproxy.is_some() => {
                let (port, mark) = self.tproxy.take()?;
                Target::Tproxy { port, mark: mark? }
            }
            Expression::Verdict(verdict) => verdict.to_target()?,
            Expression::Target(called) => extension::to_target(called, self.family)?,
            Expression::Redirect {
                port: Some(port), ..
            } => Target::Redirect(self.take_port(*port)?),
            Expression::Log { prefix, level } => Target::Log {
                prefix: prefix.clone().unwrap_or_default(),
                level: u8::try_from(*level).ok()?,
            },
            Expression::Reject { kind, code } => {
                Target::Reject(match (*kind, *code, self.family) {
                    (NFT_REJECT_TCP_RST, 0, _) => RejectWith::TcpReset,
                    (NFT_REJECT_ICMP_UNREACH, ICMPV6_ADM_PROHIBITED, Family::V6) => {
                        RejectWith::Icmpv6AdminProhibited
                    }
                    _ => return None,
                })
            }
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

    /// Sets the packet mark, as a target or as part of TPROXY.
    fn set_mark(&mut self, from: Register) -> Option<()> {
        let target = self.mark_target(from)?;
        match (&mut self.tproxy, target) {
            (Some((_, wanted)), Target::SetMark(mark)) => *wanted = Some(mark),
            (Some(_), _) => return None,
            (None, target) => self.target = Some(target),
        }
        Some(())
    }

    fn mark_target(&mut self, from: Register) -> Option<Target> {
        match self.take_register(from)? {
            Loaded::Field {
                field: Field::Connmark,
                mask: None,
                ..
            } => Some(Target::RestoreMark),
            loaded => loaded.written_to(Field::Mark).map(Target::SetMark),
        }
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
            (CtKey::Mark, loaded) => loaded.written_to(Field::Connmark).map(Target::SetConnmark),
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
        let (field, mask) = self.take_field(*key)?;
        let set = self.sets.iter().find(|known| known.name == *set)?;
        if mask.is_some() || self.folded.is_some() {
            return None;
        }
        if set.counting {
            self.folded = Some(elements::unfold(set, field, self.family)?);
            return (!inverted).then_some(());
        }
        self.matches.push(elements::list(set, field, *inverted)?);
        Some(())
    }

    /// `None` if the register holds a value that no expression used.
    fn load(&mut self, to: Register, loaded: Loaded) -> Option<()> {
        let free = to == Register::ONE && self.loaded.is_none();
        self.loaded = Some(loaded);
        free.then_some(())
    }

    fn apply_bitwise(
        &mut self,
        registers: (Register, Register),
        by_mask: &[u8],
        by_xor: &[u8],
    ) -> Option<()> {
        match &mut self.loaded {
            Some(Loaded::Field {
                mask: mask @ None,
                xor,
                ..
            }) if registers == (Register::ONE, Register::ONE) => {
                *mask = Some(by_mask.to_vec());
                *xor = by_xor.to_vec();
                Some(())
            }
            _ => None,
        }
    }

    /// The field in a register with its mask; `None` if bits are inverted.
    fn take_field(&mut self, register: Register) -> Option<(Field, Option<Vec<u8>>)> {
        match self.take_register(register)? {
            Loaded::Field { field, mask, xor } => {
                xor.iter().all(|byte| *byte == 0).then_some((field, mask))
            }
            Loaded::Value(_) | Loaded::Swapped(_) => None,
        }
    }

    fn take_port(&mut self, register: Register) -> Option<Port> {
        match self.take_register(register)? {
            Loaded::Value(value) => condition::port(value.get(..2)?),
            Loaded::Field { .. } | Loaded::Swapped(_) => None,
        }
    }

    fn take_register(&mut self, register: Register) -> Option<Loaded> {
        (register == Register::ONE).then(|| self.loaded.take())?
    }
}
