//! Attributes to tables, chains, rules and sets.

use mesh_cni_netfilter::ruleset::Family;

use super::encode::{PLACE, policy};
use crate::attributes::{Attribute, Attributes, Malformed};
use crate::expression::{Expression, decode_list, decode_single, decode_value, decode_verdict};
use crate::object::{
    Chain, ChainId, ChainType, Element, ElementValue, Hook, Rule, Set, SetFlags, SetKind, Table,
};

pub(crate) fn decode_table(family: Family, attributes: Attributes<'_>) -> Result<Table, Malformed> {
    let mut name = None;
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == 1 {
            name = Some(owned(attribute, "the name of a table")?);
        }
    }
    let what = "the name of a table";
    Ok(Table {
        family,
        name: name.ok_or(Malformed::Missing { what })?,
    })
}

/// A chain; one at a hook that is none of IP's is read as one without.
pub(crate) fn decode_chain(family: Family, attributes: Attributes<'_>) -> Result<Chain, Malformed> {
    let (mut table, mut name, mut kind) = (None, None, None);
    let (mut at, mut verdict) = (None, None);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => table = Some(owned(attribute, "the table of a chain")?),
            3 => name = Some(owned(attribute, "the name of a chain")?),
            4 => at = decode_hook(attribute)?,
            5 => verdict = Some(policy(attribute.u32("the policy of a chain")?)),
            7 => kind = ChainType::from_name(attribute.text("the type of a chain")?),
            _ => {}
        }
    }
    let hook = match (
        at.and_then(|(number, _)| Hook::from_number(number)),
        at,
        kind,
    ) {
        (Some(at), Some((_, priority)), Some(kind)) => Some(Hook { kind, at, priority }),
        _ => None,
    };
    Ok(Chain {
        id: chain_id(family, table, name)?,
        hook,
        policy: verdict,
    })
}

/// The number of the hook, and the priority there.
fn decode_hook(attribute: Attribute<'_>) -> Result<Option<(u32, i32)>, Malformed> {
    let (mut number, mut priority) = (None, None);
    for inner in attribute.nested() {
        let inner = inner?;
        match inner.kind {
            1 => number = Some(inner.u32("the number of a hook")?),
            2 => priority = Some(inner.u32("the priority of a chain")?.cast_signed()),
            _ => {}
        }
    }
    Ok(number.zip(priority))
}

pub(crate) fn decode_rule(family: Family, attributes: Attributes<'_>) -> Result<Rule, Malformed> {
    let (mut table, mut name) = (None, None);
    let (mut handle, mut expressions, mut userdata) = (0, Vec::new(), Vec::new());
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => table = Some(owned(attribute, "the table of a rule")?),
            2 => name = Some(owned(attribute, "the chain of a rule")?),
            3 => handle = attribute.u64("the handle of a rule")?,
            4 => expressions = decode_list(attribute.nested())?,
            7 => attribute.value.clone_into(&mut userdata),
            _ => {}
        }
    }
    Ok(Rule {
        chain: chain_id(family, table, name)?,
        handle,
        expressions,
        userdata,
    })
}

/// A set without its elements, which the kernel gives by themselves.
pub(crate) fn decode_set(family: Family, attributes: Attributes<'_>) -> Result<Set, Malformed> {
    let (mut table, mut name) = (None, None);
    let (mut flags, mut datatype, mut length, mut counting) = (0, 0, 0, false);
    let mut id = 0;
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => table = Some(owned(attribute, "the table of a set")?),
            2 => name = Some(owned(attribute, "the name of a set")?),
            3 => flags = attribute.u32("the flags of a set")?,
            4 => datatype = attribute.u32("the type of a set")?,
            5 => length = attribute.u32("the length of a key")?,
            10 => id = attribute.u32("the number of a set")?,
            17 | 18 => counting = true,
            _ => {}
        }
    }
    let what = "the name of a set";
    let (table, name) = table.zip(name).ok_or(Malformed::Missing { what })?;
    Ok(Set {
        table: Table::new(family, table),
        name,
        id,
        kind: SetKind { datatype, length },
        flags: SetFlags::from_number(flags, counting),
        elements: Vec::new(),
    })
}

/// Some elements, and the table and name of their set.
pub(crate) fn decode_elements(
    family: Family,
    attributes: Attributes<'_>,
) -> Result<(Table, String, Vec<Element>), Malformed> {
    let (mut table, mut set, mut elements) = (None, None, Vec::new());
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => table = Some(owned(attribute, "the table of a set")?),
            2 => set = Some(owned(attribute, "the name of a set")?),
            3 => {
                for element in attribute.nested() {
                    elements.extend(decode_element(element?.nested())?);
                }
            }
            _ => {}
        }
    }
    let what = "the name of a set";
    let (table, set) = table.zip(set).ok_or(Malformed::Missing { what })?;
    Ok((Table::new(family, table), set, elements))
}

/// An element; the one for all other keys has none and is passed over.
fn decode_element(attributes: Attributes<'_>) -> Result<Option<Element>, Malformed> {
    let (mut key, mut value, mut counter, mut interval_end) = (None, None, None, false);
    let mut place = None;
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => key = decode_value(attribute)?.map(<[u8]>::to_owned),
            2 => value = decode_mapped(attribute)?,
            3 => interval_end = attribute.u32("the flags of an element")? & 1 != 0,
            6 => place = decode_place(attribute.value),
            7 => counter = counted(&decode_single(attribute.nested())?),
            11 => {
                let expressions = decode_list(attribute.nested())?;
                counter = expressions.iter().find_map(counted);
            }
            _ => {}
        }
    }
    Ok(key.map(|key| Element {
        key,
        interval_end,
        value,
        counter,
        place,
    }))
}

/// Our own piece of the user data, which is a list of type, length and value, a byte each but for
/// the value.
fn decode_place(mut data: &[u8]) -> Option<u16> {
    loop {
        let (kind, length) = (*data.first()?, usize::from(*data.get(1)?));
        let value = data.get(2..2 + length)?;
        if kind == PLACE {
            return value.try_into().ok().map(u16::from_be_bytes);
        }
        data = &data[2 + length..];
    }
}

fn decode_mapped(attribute: Attribute<'_>) -> Result<Option<ElementValue>, Malformed> {
    if let Some(verdict) = decode_verdict(attribute)? {
        return Ok(Some(ElementValue::Verdict(verdict)));
    }
    let data = decode_value(attribute)?;
    Ok(data.map(|data| ElementValue::Data(data.to_owned())))
}

fn counted(expression: &Expression) -> Option<(u64, u64)> {
    match expression {
        Expression::Counter { packets, bytes } => Some((*packets, *bytes)),
        _ => None,
    }
}

fn chain_id(
    family: Family,
    table: Option<String>,
    name: Option<String>,
) -> Result<ChainId, Malformed> {
    let what = "the name of a chain";
    let (table, name) = table.zip(name).ok_or(Malformed::Missing { what })?;
    Ok(Table::new(family, table).chain(name))
}

fn owned(attribute: Attribute<'_>, what: &'static str) -> Result<String, Malformed> {
    attribute.text(what).map(str::to_owned)
}
