//! Values of expressions as attributes.

use super::{Comparison, CtKey, MetaKey, PayloadBase, Register, Verdict};
use crate::attributes::{Attributes, Malformed, Writer};
use crate::uapi::AttributeType;
use crate::uapi::nf_tables::{
    NFT_LOOKUP_F_INV, NFTA_DATA_VALUE, NFTA_DATA_VERDICT, NFTA_LOOKUP_SET_ID, NFTA_NAT_FLAGS,
    NFTA_REDIR_FLAGS, NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE,
};

/// Numbers that the kernel omits: the id of a set is used only in a batch, and flags may be zero.
const OMITTED_NUMBERS: [AttributeType; 3] = [NFTA_LOOKUP_SET_ID, NFTA_NAT_FLAGS, NFTA_REDIR_FLAGS];

/// A value that is one attribute.
pub(super) trait AttributeValue: Sized {
    fn write(&self, kind: AttributeType, to: &mut Writer);
    /// `None` if an attribute is missing that the expression requires.
    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed>;
}

/// Implements [`AttributeValue`] for numbers. Without one of them the expression has another meaning,
/// so a missing number is an error.
macro_rules! number_fields {
    ($($type:ident)+) => {$(
        impl AttributeValue for $type {
            fn write(&self, kind: AttributeType, to: &mut Writer) {
                to.$type(kind, *self);
            }

            fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
                match from.$type(kind)? {
                    None if OMITTED_NUMBERS.contains(&kind) => Ok(Some(0)),
                    None => Err(Malformed::Missing { what: kind.name }),
                    number => Ok(number),
                }
            }
        }
    )+};
}

number_fields! { u32 u64 }

impl AttributeValue for u8 {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        to.bytes(kind, &[*self]);
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        let byte = from.bytes(kind).and_then(<[u8]>::first);
        Ok(Some(byte.copied().unwrap_or_default()))
    }
}

/// Implements [`AttributeValue`] for enums of numbers.
macro_rules! required_fields {
    ($($type:ident)+) => {$(
        impl AttributeValue for $type {
            fn write(&self, kind: AttributeType, to: &mut Writer) {
                to.u32(kind, self.number());
            }

            fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
                Ok(from.u32(kind)?.map(Self::from_number))
            }
        }
    )+};
}

required_fields! { Comparison CtKey MetaKey PayloadBase }

/// The only flag of `lookup`.
impl AttributeValue for bool {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        if *self {
            to.u32(kind, NFT_LOOKUP_F_INV);
        }
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        let flags = from.u32(kind)?.unwrap_or_default();
        Ok(Some(flags & NFT_LOOKUP_F_INV != 0))
    }
}

impl AttributeValue for String {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        to.text(kind, self);
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        Ok(from.text(kind)?.map(str::to_owned))
    }
}

/// A text that may be missing.
impl AttributeValue for Option<String> {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        if let Some(text) = self {
            text.write(kind, to);
        }
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        String::read(kind, from).map(Some)
    }
}

impl AttributeValue for Register {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        to.u32(kind, self.0);
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        Ok(from.u32(kind)?.map(Self))
    }
}

/// A register that may be missing.
impl AttributeValue for Option<Register> {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        if let Some(register) = self {
            register.write(kind, to);
        }
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        Register::read(kind, from).map(Some)
    }
}

/// Data, within `NFTA_DATA_VALUE`.
impl AttributeValue for Vec<u8> {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        encode_value(kind, self, to);
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        Ok(decode_value(kind, from)?.map(<[u8]>::to_owned))
    }
}

/// Encodes data within `NFTA_DATA_VALUE`.
pub(crate) fn encode_value(kind: AttributeType, value: &[u8], to: &mut Writer) {
    to.nested(kind, |to| {
        to.bytes(NFTA_DATA_VALUE, value);
    });
}

/// Decodes data within `NFTA_DATA_VALUE`.
pub(crate) fn decode_value(
    kind: AttributeType,
    from: Attributes<'_>,
) -> Result<Option<&[u8]>, Malformed> {
    let data = from.nested(kind)?;
    Ok(data.and_then(|data| data.bytes(NFTA_DATA_VALUE)))
}

/// A verdict, within `NFTA_DATA_VERDICT`.
impl AttributeValue for Verdict {
    fn write(&self, kind: AttributeType, to: &mut Writer) {
        to.nested(kind, |to| {
            to.nested(NFTA_DATA_VERDICT, |to| {
                to.u32(NFTA_VERDICT_CODE, self.number().cast_unsigned());
                if let Some(chain) = self.chain() {
                    to.text(NFTA_VERDICT_CHAIN, chain);
                }
            });
        });
    }

    fn read(kind: AttributeType, from: Attributes<'_>) -> Result<Option<Self>, Malformed> {
        let Some(data) = from.nested(kind)? else {
            return Ok(None);
        };
        let Some(fields) = data.nested(NFTA_DATA_VERDICT)? else {
            return Ok(None);
        };
        let code = fields.u32(NFTA_VERDICT_CODE)?.map(u32::cast_signed);
        let chain = fields.text(NFTA_VERDICT_CHAIN)?.map(str::to_owned);
        Ok(code.map(|code| Self::from_number(code, chain)))
    }
}
