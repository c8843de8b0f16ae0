//! Tables, chains, rules and sets to attributes (`NFTA_TABLE_*`, `NFTA_CHAIN_*` and so on).

use crate::attributes::Writer;
use crate::expression::{
    Comparison, Expression, MetaKey, Verdict, encode_list, encode_single, encode_value,
    encode_verdict,
};
use crate::object::{Chain, ChainId, Element, ElementValue, Rule, Set, SetFlags, Table};

/// `NFT_DATA_VERDICT`: the type of what a verdict map maps to.
const VERDICT_TYPE: u32 = 0xffff_ff00;

impl Table {
    pub(crate) fn encode_reference(&self, to: &mut Writer) {
        to.text(1, &self.name);
    }

    pub(crate) fn encode_new(&self, to: &mut Writer) {
        // `NFTA_TABLE_FLAGS`: none.
        to.text(1, &self.name).u32(2, 0);
    }
}

impl ChainId {
    pub(crate) fn encode_reference(&self, to: &mut Writer) {
        to.text(1, &self.table.name).text(3, &self.name);
    }

    /// As the chain of a rule.
    pub(crate) fn encode_of_rule(&self, to: &mut Writer) {
        to.text(1, &self.table.name).text(2, &self.name);
    }
}

impl Chain {
    /// Without a policy the kernel gives a new chain ACCEPT and leaves a standing one its own.
    pub(crate) fn encode_new(&self, to: &mut Writer) {
        self.id.encode_reference(to);
        let Some(hook) = self.hook else {
            return;
        };
        to.nested(4, |to| {
            to.u32(1, hook.number());
            to.bytes(2, &hook.priority.to_be_bytes());
        });
        if let Some(policy) = &self.policy {
            to.bytes(5, &policy.number().to_be_bytes());
        }
        to.text(7, hook.kind.as_str());
    }
}

impl Rule {
    pub(crate) fn encode_new(&self, to: &mut Writer) {
        self.chain.encode_of_rule(to);
        to.nested(4, |to| encode_list(&self.expressions, to));
        let compat = |expression: &Expression| {
            matches!(expression, Expression::Match(_) | Expression::Target(_))
        };
        if self.expressions.iter().any(compat) {
            let (protocol, flags) = compat_protocol(&self.expressions);
            to.nested(5, |to| {
                to.u32(1, protocol).u32(2, flags);
            });
        }
        if !self.userdata.is_empty() {
            to.bytes(7, &self.userdata);
        }
    }
}

/// What extensions ask of the rule around them: its transport protocol, and whether it is excluded
/// (`NFTA_RULE_COMPAT_*`).
fn compat_protocol(expressions: &[Expression]) -> (u32, u32) {
    /// `NFT_RULE_COMPAT_F_INV`
    const INVERTED: u32 = 2;
    let mut pairs = expressions.iter().zip(expressions.iter().skip(1));
    let found = pairs.find_map(|pair| match pair {
        (
            Expression::Meta {
                key: MetaKey::TransportProtocol,
                ..
            },
            Expression::Compare {
                comparison, data, ..
            },
        ) => Some((u32::from(*data.first()?), *comparison)),
        _ => None,
    });
    match found {
        Some((protocol, Comparison::Equal)) => (protocol, 0),
        Some((protocol, _)) => (protocol, INVERTED),
        None => (0, 0),
    }
}

impl SetFlags {
    fn number(self) -> u32 {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        bit(self.anonymous, 1)
            | bit(self.constant, 2)
            | bit(self.interval, 4)
            | bit(self.verdict_map, 8)
    }

    pub(crate) fn from_number(number: u32, counting: bool) -> Self {
        Self {
            anonymous: number & 1 != 0,
            constant: number & 2 != 0,
            interval: number & 4 != 0,
            verdict_map: number & 8 != 0,
            counting,
        }
    }
}

impl Set {
    pub(crate) fn encode_new(&self, to: &mut Writer) {
        to.text(1, &self.table.name).text(2, &self.name);
        to.u32(3, self.flags.number());
        to.u32(4, self.kind.datatype).u32(5, self.kind.length);
        if self.flags.verdict_map {
            to.u32(6, VERDICT_TYPE);
        }
        if !self.flags.interval {
            // How many elements will come: the kernel chooses and sizes the set by it.
            let size = u32::try_from(self.elements.len()).unwrap_or(u32::MAX);
            to.nested(9, |to| {
                to.u32(1, size);
            });
        }
        to.u32(10, self.id);
        to.bytes(13, &BIG_ENDIAN_KEYS);
        if self.flags.counting {
            to.nested(17, |to| encode_single(&counter(None), to));
        }
    }

    /// The elements, in messages of at most [`ELEMENTS`] each.
    pub(crate) fn encode_elements(&self) -> impl Iterator<Item = Writer> {
        self.elements.chunks(ELEMENTS).map(|elements| {
            let mut to = Writer::default();
            to.text(1, &self.table.name).text(2, &self.name);
            to.nested(3, |to| {
                for element in elements {
                    to.nested(1, |to| element.encode(self.flags, to));
                }
            });
            to.u32(4, self.id);
            to
        })
    }
}

/// How many elements go into a message: the list's length must fit in 16 bits.
const ELEMENTS: usize = 400;

/// What `nft` leaves in a set for itself: keys are in network order
/// (`NFTNL_UDATA_SET_KEYBYTEORDER`, `BYTEORDER_BIG_ENDIAN`), so that it prints them right.
const BIG_ENDIAN_KEYS: [u8; 6] = {
    let order = 2_u32.to_ne_bytes();
    [0, 4, order[0], order[1], order[2], order[3]]
};

/// Our own type among the user data of an element; `nft` passes over those that it does not know.
pub(super) const PLACE: u8 = 128;

impl Element {
    fn encode(&self, set: SetFlags, to: &mut Writer) {
        to.nested(1, |to| encode_value(&self.key, to));
        match &self.value {
            Some(ElementValue::Verdict(verdict)) => {
                to.nested(2, |to| encode_verdict(verdict, to));
            }
            Some(ElementValue::Data(data)) => {
                to.nested(2, |to| encode_value(data, to));
            }
            None => {}
        }
        if self.interval_end {
            to.u32(3, 1);
        } else if set.counting {
            to.nested(7, |to| encode_single(&counter(self.counter), to));
        }
        if let Some(place) = self.place {
            let [high, low] = place.to_be_bytes();
            to.bytes(6, &[PLACE, 2, high, low]);
        }
    }
}

fn counter(counted: Option<(u64, u64)>) -> Expression {
    let (packets, bytes) = counted.unwrap_or_default();
    Expression::Counter { packets, bytes }
}

/// The verdict that a policy is, on the wire.
pub(crate) fn policy(number: u32) -> Verdict {
    Verdict::from_number(number.cast_signed(), None)
}
