//! Tables, chains, rules and sets to attributes and back.

use mesh_cni_netfilter::ruleset::Family;

use super::{Chain, ChainId, ChainType, Element, Hook, Rule, Set, SetKind, Table};
use crate::attributes::{Attributes, Malformed, Writer};
use crate::expression::{
    Comparison, Expression, MetaKey, Verdict, decode, decode_list, decode_value, encode,
    encode_list, encode_value,
};
#[allow(
    clippy::wildcard_imports,
    reason = "nearly all of its attributes are used here"
)]
use crate::uapi::nf_tables::*;

/// The number of elements in a message: the length of their list must fit in 16 bits.
const ELEMENTS_PER_MESSAGE: usize = 400;

/// What `nft` stores in the user data of a set to print its keys: they are in network byte order
/// (libnftnl's `NFTNL_UDATA_SET_KEYBYTEORDER`, nftables' `BYTEORDER_BIG_ENDIAN`).
const BIG_ENDIAN_KEYS: [u8; 6] = {
    let order = 2_u32.to_ne_bytes();
    [0, 4, order[0], order[1], order[2], order[3]]
};

/// Our own type in the user data of an element; `nft` ignores types that it does not know.
const PLACE: u8 = 128;

/// The type of a comment in the user data of a rule or element (libnftnl's `NFTNL_UDATA_RULE_COMMENT`
/// and `NFTNL_UDATA_SET_ELEM_COMMENT`).
const COMMENT: u8 = 0;

impl Table {
    pub(crate) fn encode(&self) -> Writer {
        let mut to = self.encode_name();
        to.u32(NFTA_TABLE_FLAGS, 0);
        to
    }

    pub(crate) fn encode_name(&self) -> Writer {
        let mut to = Writer::default();
        to.text(NFTA_TABLE_NAME, &self.name);
        to
    }
}

pub(crate) fn decode_table(family: Family, from: Attributes<'_>) -> Result<Table, Malformed> {
    Ok(Table::new(family, from.required_text(NFTA_TABLE_NAME)?))
}

impl ChainId {
    pub(crate) fn encode(&self) -> Writer {
        let mut to = Writer::default();
        to.text(NFTA_CHAIN_TABLE, &self.table.name)
            .text(NFTA_CHAIN_NAME, &self.name);
        to
    }

    pub(crate) fn encode_for_rule(&self) -> Writer {
        let mut to = Writer::default();
        to.text(NFTA_RULE_TABLE, &self.table.name)
            .text(NFTA_RULE_CHAIN, &self.name);
        to
    }
}

impl Chain {
    /// Without a policy, the kernel gives a new chain ACCEPT and keeps that of an existing one.
    pub(crate) fn encode(&self) -> Writer {
        let mut to = self.id.encode();
        let Some(hook) = self.hook else {
            return to;
        };
        to.nested(NFTA_CHAIN_HOOK, |to| {
            to.u32(NFTA_HOOK_HOOKNUM, hook.number())
                .u32(NFTA_HOOK_PRIORITY, hook.priority.cast_unsigned());
        });
        if let Some(policy) = &self.policy {
            to.u32(NFTA_CHAIN_POLICY, policy.number().cast_unsigned());
        }
        to.text(NFTA_CHAIN_TYPE, hook.kind.as_str());
        to
    }
}

pub(crate) fn decode_chain(family: Family, from: Attributes<'_>) -> Result<Chain, Malformed> {
    let table = Table::new(family, from.required_text(NFTA_CHAIN_TABLE)?);
    let policy = from.u32(NFTA_CHAIN_POLICY)?;
    Ok(Chain {
        id: table.chain(from.required_text(NFTA_CHAIN_NAME)?),
        hook: decode_hook(from)?,
        policy: policy.map(|number| Verdict::from_number(number.cast_signed(), None)),
    })
}

/// `None` for a hook that IP does not have.
fn decode_hook(from: Attributes<'_>) -> Result<Option<Hook>, Malformed> {
    let Some(hook) = from.nested(NFTA_CHAIN_HOOK)? else {
        return Ok(None);
    };
    let number = hook.u32(NFTA_HOOK_HOOKNUM)?;
    let priority = hook.u32(NFTA_HOOK_PRIORITY)?.map(u32::cast_signed);
    let kind = from.text(NFTA_CHAIN_TYPE)?.and_then(ChainType::from_name);
    Ok(match (kind, number, priority) {
        (Some(kind), Some(number), Some(priority)) => Hook::new(kind, number, priority),
        _ => None,
    })
}

impl Rule {
    pub(crate) fn encode(&self) -> Writer {
        let mut to = self.chain.encode_for_rule();
        to.nested(NFTA_RULE_EXPRESSIONS, |to| {
            encode_list(&self.expressions, to);
        });
        let calls_x_tables = |expression: &Expression| {
            matches!(expression, Expression::Match(_) | Expression::Target(_))
        };
        if self.expressions.iter().any(calls_x_tables) {
            let (protocol, flags) = compat_protocol(&self.expressions);
            to.nested(NFTA_RULE_COMPAT, |to| {
                to.u32(NFTA_RULE_COMPAT_PROTO, protocol)
                    .u32(NFTA_RULE_COMPAT_FLAGS, flags);
            });
        }
        if let Some(comment) = &self.comment {
            to.bytes(NFTA_RULE_USERDATA, &encode_comment(comment));
        }
        to
    }
}

/// The transport protocol that the rule requires, for the extensions in it, and whether the rule
/// excludes it.
fn compat_protocol(expressions: &[Expression]) -> (u32, u32) {
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
        Some((protocol, _)) => (protocol, NFT_RULE_COMPAT_F_INV),
        None => (0, 0),
    }
}

pub(crate) fn decode_rule(family: Family, from: Attributes<'_>) -> Result<Rule, Malformed> {
    let table = Table::new(family, from.required_text(NFTA_RULE_TABLE)?);
    let expressions = from.nested(NFTA_RULE_EXPRESSIONS)?;
    Ok(Rule {
        chain: table.chain(from.required_text(NFTA_RULE_CHAIN)?),
        handle: from.u64(NFTA_RULE_HANDLE)?.unwrap_or_default(),
        expressions: expressions
            .map(decode_list)
            .transpose()?
            .unwrap_or_default(),
        comment: from.bytes(NFTA_RULE_USERDATA).and_then(decode_comment),
    })
}

fn encode_comment(comment: &str) -> Vec<u8> {
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    [&[COMMENT, length], comment.as_bytes(), &[0]].concat()
}

fn decode_comment(data: &[u8]) -> Option<String> {
    let text = user_data(data, COMMENT)?.strip_suffix(&[0])?;
    str::from_utf8(text).ok().map(str::to_owned)
}

impl Set {
    pub(crate) fn encode(&self) -> Writer {
        let mut to = Writer::default();
        let interval = if self.interval { NFT_SET_INTERVAL } else { 0 };
        let constant = if self.anonymous {
            NFT_SET_ANONYMOUS | NFT_SET_CONSTANT
        } else {
            0
        };
        to.text(NFTA_SET_TABLE, &self.table.name)
            .text(NFTA_SET_NAME, &self.name)
            .u32(NFTA_SET_FLAGS, constant | interval)
            .u32(NFTA_SET_KEY_TYPE, self.kind.datatype)
            .u32(NFTA_SET_KEY_LEN, self.kind.length);
        if self.anonymous && !self.interval {
            // The kernel chooses the implementation of the set by its size.
            let size = u32::try_from(self.elements.len()).unwrap_or(u32::MAX);
            to.nested(NFTA_SET_DESC, |to| {
                to.u32(NFTA_SET_DESC_SIZE, size);
            });
        }
        to.u32(NFTA_SET_ID, self.id)
            .bytes(NFTA_SET_USERDATA, &BIG_ENDIAN_KEYS);
        if self.counting {
            to.nested(NFTA_SET_EXPR, |to| encode(&counter(None), to));
        }
        to
    }

    /// The elements, as the attributes of one message or several.
    pub(crate) fn encode_elements(&self) -> impl Iterator<Item = Writer> {
        self.elements.chunks(ELEMENTS_PER_MESSAGE).map(|elements| {
            let mut to = encode_elements(&self.table, &self.name, self.counting, elements);
            to.u32(NFTA_SET_ELEM_LIST_SET_ID, self.id);
            to
        })
    }
}

/// Elements of a set, as the attributes of one message.
pub(crate) fn encode_elements(
    table: &Table,
    set: &str,
    counting: bool,
    elements: &[Element],
) -> Writer {
    let mut to = Writer::default();
    to.text(NFTA_SET_ELEM_LIST_TABLE, &table.name)
        .text(NFTA_SET_ELEM_LIST_SET, set)
        .nested(NFTA_SET_ELEM_LIST_ELEMENTS, |to| {
            for element in elements {
                to.nested(NFTA_LIST_ELEM, |to| element.encode(counting, to));
            }
        });
    to
}

/// Decodes a set without its elements, which the kernel sends in messages of their own.
pub(crate) fn decode_set(family: Family, from: Attributes<'_>) -> Result<Set, Malformed> {
    let counting = [NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS]
        .into_iter()
        .any(|kind| from.bytes(kind).is_some());
    // The kernel omits flags that are zero.
    let flags = from.u32(NFTA_SET_FLAGS)?.unwrap_or_default();
    Ok(Set {
        table: Table::new(family, from.required_text(NFTA_SET_TABLE)?),
        name: from.required_text(NFTA_SET_NAME)?.to_owned(),
        anonymous: flags & NFT_SET_ANONYMOUS != 0,
        // The kernel omits the id, which is used only in a batch.
        id: from.u32(NFTA_SET_ID)?.unwrap_or_default(),
        kind: SetKind {
            datatype: from.required_u32(NFTA_SET_KEY_TYPE)?,
            length: from.required_u32(NFTA_SET_KEY_LEN)?,
        },
        interval: flags & NFT_SET_INTERVAL != 0,
        counting,
        elements: Vec::new(),
    })
}

impl Element {
    fn encode(&self, counting: bool, to: &mut Writer) {
        encode_value(NFTA_SET_ELEM_KEY, &self.key, to);
        if self.interval_end {
            to.u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
        } else if counting {
            to.nested(NFTA_SET_ELEM_EXPR, |to| encode(&counter(self.counter), to));
        }
        let mut data = self
            .comment
            .as_deref()
            .map_or_else(Vec::new, encode_comment);
        if let Some(place) = self.place {
            let [high, low] = place.to_be_bytes();
            data.extend([PLACE, 2, high, low]);
        }
        if !data.is_empty() {
            to.bytes(NFTA_SET_ELEM_USERDATA, &data);
        }
    }
}

/// Decodes elements, with the table and the name of their set.
pub(crate) fn decode_elements(
    family: Family,
    from: Attributes<'_>,
) -> Result<(Table, String, Vec<Element>), Malformed> {
    let table = Table::new(family, from.required_text(NFTA_SET_ELEM_LIST_TABLE)?);
    let set = from.required_text(NFTA_SET_ELEM_LIST_SET)?.to_owned();
    let mut elements = Vec::new();
    if let Some(list) = from.nested(NFTA_SET_ELEM_LIST_ELEMENTS)? {
        for element in list.all(NFTA_LIST_ELEM) {
            elements.extend(decode_element(Attributes::new(element)?)?);
        }
    }
    Ok((table, set, elements))
}

/// `None` for the catch-all element, which has no key.
fn decode_element(from: Attributes<'_>) -> Result<Option<Element>, Malformed> {
    let flags = from.u32(NFTA_SET_ELEM_FLAGS)?.unwrap_or_default();
    let mut expressions = Vec::new();
    if let Some(expression) = from.nested(NFTA_SET_ELEM_EXPR)? {
        expressions.push(decode(expression)?);
    }
    if let Some(list) = from.nested(NFTA_SET_ELEM_EXPRESSIONS)? {
        expressions.extend(decode_list(list)?);
    }
    let key = decode_value(NFTA_SET_ELEM_KEY, from)?;
    Ok(key.map(|key| Element {
        key: key.to_owned(),
        interval_end: flags & NFT_SET_ELEM_INTERVAL_END != 0,
        counter: expressions.iter().find_map(|expression| match expression {
            Expression::Counter { packets, bytes } => Some((*packets, *bytes)),
            _ => None,
        }),
        place: from.bytes(NFTA_SET_ELEM_USERDATA).and_then(decode_place),
        comment: from.bytes(NFTA_SET_ELEM_USERDATA).and_then(decode_comment),
    }))
}

fn decode_place(data: &[u8]) -> Option<u16> {
    let place = user_data(data, PLACE)?;
    place.try_into().ok().map(u16::from_be_bytes)
}

/// The value of that type in user data: a list of type, length and value; type and length are one
/// byte each.
fn user_data(mut data: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let (kind, length) = (*data.first()?, usize::from(*data.get(1)?));
        let value = data.get(2..2 + length)?;
        if kind == wanted {
            return Some(value);
        }
        data = &data[2 + length..];
    }
}

fn counter(counted: Option<(u64, u64)>) -> Expression {
    let (packets, bytes) = counted.unwrap_or_default();
    Expression::Counter { packets, bytes }
}
