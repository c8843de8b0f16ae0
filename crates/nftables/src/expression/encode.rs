//! Expressions to attributes (`NFTA_EXPR_*` and those of each expression).

use super::{Expression, Extension, Verdict};
use crate::attributes::Writer;

/// `NFTA_LIST_ELEM`
const LIST_ELEMENT: u16 = 1;
/// `NFTA_EXPR_NAME`
const NAME: u16 = 1;
/// `NFTA_EXPR_DATA`
const DATA: u16 = 2;
/// `NFTA_DATA_VALUE`
const DATA_VALUE: u16 = 1;
/// `NFTA_DATA_VERDICT`
const DATA_VERDICT: u16 = 2;

/// The list of a rule's expressions.
pub(crate) fn encode_list(expressions: &[Expression], to: &mut Writer) {
    for expression in expressions {
        to.nested(LIST_ELEMENT, |to| encode(expression, to));
    }
}

/// One expression: its name and its own attributes.
pub(crate) fn encode(expression: &Expression, to: &mut Writer) {
    to.text(NAME, expression.name());
    if let Expression::Other { data, .. } = expression {
        // The nested flag is what the kernel's own dump carries; it does not ask for it.
        to.bytes(DATA, data);
    } else {
        to.nested(DATA, |to| encode_data(expression, to));
    }
}

/// Bytes as `NFTA_DATA_VALUE`.
pub(crate) fn encode_value(value: &[u8], to: &mut Writer) {
    to.bytes(DATA_VALUE, value);
}

/// A verdict as `NFTA_DATA_VERDICT`: its code, and the chain where it leads to one.
pub(crate) fn encode_verdict(verdict: &Verdict, to: &mut Writer) {
    to.nested(DATA_VERDICT, |to| {
        to.bytes(1, &verdict.number().to_be_bytes());
        if let Some(chain) = verdict.chain() {
            to.text(2, chain);
        }
    });
}

fn encode_data(expression: &Expression, out: &mut Writer) {
    match expression {
        Expression::Meta { key, to } => {
            out.u32(2, key.number()).u32(1, to.0);
        }
        Expression::SetMeta { key, from } => {
            out.u32(2, key.number()).u32(3, from.0);
        }
        Expression::Payload {
            base,
            offset,
            length,
            to,
        } => {
            out.u32(1, to.0).u32(2, base.number());
            out.u32(3, *offset).u32(4, *length);
        }
        Expression::Bitwise {
            from,
            to,
            mask,
            xor,
        } => {
            let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
            out.u32(1, from.0).u32(2, to.0).u32(3, length);
            // `NFT_BITWISE_BOOL`
            out.u32(6, 0);
            out.nested(4, |out| encode_value(mask, out));
            out.nested(5, |out| encode_value(xor, out));
        }
        Expression::Compare {
            register,
            comparison,
            data,
        } => {
            out.u32(1, register.0).u32(2, comparison.number());
            out.nested(3, |out| encode_value(data, out));
        }
        Expression::Lookup { .. } => encode_lookup(expression, out),
        Expression::Immediate { to, data } => {
            out.u32(1, to.0);
            out.nested(2, |out| encode_value(data, out));
        }
        Expression::Verdict(verdict) => {
            out.u32(1, super::Register::VERDICT.0);
            out.nested(2, |out| encode_verdict(verdict, out));
        }
        Expression::Counter { packets, bytes } => {
            out.u64(1, *bytes).u64(2, *packets);
        }
        Expression::Ct { key, to } => {
            out.u32(2, key.number()).u32(1, to.0);
        }
        Expression::SetCt { key, from } => {
            out.u32(2, key.number()).u32(4, from.0);
        }
        Expression::Redirect { port, flags } => {
            if let Some(port) = port {
                // `NFTA_REDIR_REG_PROTO_MIN`
                out.u32(1, port.0);
            }
            if *flags != 0 {
                out.u32(3, *flags);
            }
        }
        Expression::Tproxy { family, port } => {
            out.u32(1, *family).u32(3, port.0);
        }
        Expression::Match(extension) | Expression::Target(extension) => {
            encode_extension(extension, out);
        }
        Expression::Other { .. } => {}
    }
}

fn encode_lookup(expression: &Expression, out: &mut Writer) {
    /// `NFT_LOOKUP_F_INV`
    const INVERTED: u32 = 1;
    if let Expression::Lookup {
        key,
        set,
        set_id,
        value,
        inverted,
    } = expression
    {
        out.text(1, set).u32(2, key.0);
        if let Some(value) = value {
            out.u32(3, value.0);
        }
        out.u32(4, *set_id);
        if *inverted {
            out.u32(5, INVERTED);
        }
    }
}

fn encode_extension(extension: &Extension, out: &mut Writer) {
    out.text(1, &extension.name).u32(2, extension.revision);
    out.bytes(3, &extension.info);
}
