//! Expressions as attributes: one table, from which encoding and decoding follow.

use super::value::AttributeValue;
use super::{Expression, Extension, Register, Verdict};
use crate::attributes::{Attributes, Malformed, Writer};
use crate::uapi::AttributeType;
#[allow(
    clippy::wildcard_imports,
    reason = "nearly all of its attributes are used here"
)]
use crate::uapi::nf_tables::*;
use crate::uapi::nf_tables_compat::{
    NFTA_MATCH_INFO, NFTA_MATCH_NAME, NFTA_MATCH_REV, NFTA_TARGET_INFO, NFTA_TARGET_NAME,
    NFTA_TARGET_REV,
};

/// Implements the name, the encoding and the decoding of expressions from the attributes of their
/// fields, in the order in which iptables writes them.
macro_rules! expressions {
    ($($name:literal $variant:ident { $($field:ident: $attribute:ident),+ })+) => {
        impl Expression {
            /// The kernel's name of the expression.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                    Self::Bitwise { .. } => "bitwise",
                    Self::Verdict(_) => "immediate",
                    Self::Match(_) => "match",
                    Self::Target(_) => "target",
                    Self::Other { name, .. } => name,
                }
            }
        }

        fn encode_fields(expression: &Expression, out: &mut Writer) {
            match expression {
                $(Expression::$variant { $($field),+ } => {
                    $($field.write($attribute, out);)+
                })+
                Expression::Bitwise { from, to, mask, xor } => {
                    from.write(NFTA_BITWISE_SREG, out);
                    to.write(NFTA_BITWISE_DREG, out);
                    let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
                    out.u32(NFTA_BITWISE_LEN, length).u32(NFTA_BITWISE_OP, NFT_BITWISE_BOOL);
                    mask.write(NFTA_BITWISE_MASK, out);
                    xor.write(NFTA_BITWISE_XOR, out);
                }
                Expression::Verdict(verdict) => {
                    Register::VERDICT.write(NFTA_IMMEDIATE_DREG, out);
                    verdict.write(NFTA_IMMEDIATE_DATA, out);
                }
                Expression::Match(extension) => encode_extension(extension, MATCH, out),
                Expression::Target(extension) => encode_extension(extension, TARGET, out),
                Expression::Other { .. } => {}
            }
        }

        /// `None` if the attributes are not those of an expression in the table.
        fn decode_fields(
            name: &str,
            from: Attributes<'_>,
        ) -> Result<Option<Expression>, Malformed> {
            $(if name == $name
                && let ($(Some($field),)+) = ($(AttributeValue::read($attribute, from)?,)+)
            {
                return Ok(Some(Expression::$variant { $($field),+ }));
            })+
            Ok(None)
        }
    };
}

expressions! {
    "meta" Meta { key: NFTA_META_KEY, to: NFTA_META_DREG }
    "meta" SetMeta { key: NFTA_META_KEY, from: NFTA_META_SREG }
    "payload" Payload {
        to: NFTA_PAYLOAD_DREG, base: NFTA_PAYLOAD_BASE, offset: NFTA_PAYLOAD_OFFSET,
        length: NFTA_PAYLOAD_LEN
    }
    "cmp" Compare { register: NFTA_CMP_SREG, comparison: NFTA_CMP_OP, data: NFTA_CMP_DATA }
    "byteorder" ByteOrder {
        from: NFTA_BYTEORDER_SREG, to: NFTA_BYTEORDER_DREG, direction: NFTA_BYTEORDER_OP,
        length: NFTA_BYTEORDER_LEN, size: NFTA_BYTEORDER_SIZE
    }
    "range" Range {
        register: NFTA_RANGE_SREG, comparison: NFTA_RANGE_OP, first: NFTA_RANGE_FROM_DATA,
        last: NFTA_RANGE_TO_DATA
    }
    "lookup" Lookup {
        set: NFTA_LOOKUP_SET, key: NFTA_LOOKUP_SREG, value: NFTA_LOOKUP_DREG,
        set_id: NFTA_LOOKUP_SET_ID, inverted: NFTA_LOOKUP_FLAGS
    }
    "immediate" Immediate { to: NFTA_IMMEDIATE_DREG, data: NFTA_IMMEDIATE_DATA }
    "counter" Counter { bytes: NFTA_COUNTER_BYTES, packets: NFTA_COUNTER_PACKETS }
    "ct" Ct { key: NFTA_CT_KEY, to: NFTA_CT_DREG }
    "ct" SetCt { key: NFTA_CT_KEY, from: NFTA_CT_SREG }
    "redir" Redirect { port: NFTA_REDIR_REG_PROTO_MIN, flags: NFTA_REDIR_FLAGS }
    "nat" Nat {
        kind: NFTA_NAT_TYPE, family: NFTA_NAT_FAMILY, address: NFTA_NAT_REG_ADDR_MIN,
        flags: NFTA_NAT_FLAGS
    }
    "log" Log { prefix: NFTA_LOG_PREFIX, level: NFTA_LOG_LEVEL }
    "reject" Reject { kind: NFTA_REJECT_TYPE, code: NFTA_REJECT_ICMP_CODE }
    "tproxy" Tproxy { family: NFTA_TPROXY_FAMILY, port: NFTA_TPROXY_REG_PORT }
}

/// Encodes the list of a rule's expressions.
pub(crate) fn encode_list(expressions: &[Expression], to: &mut Writer) {
    for expression in expressions {
        to.nested(NFTA_LIST_ELEM, |to| encode(expression, to));
    }
}

/// Encodes an expression: its name and its own attributes.
pub(crate) fn encode(expression: &Expression, to: &mut Writer) {
    to.text(NFTA_EXPR_NAME, expression.name());
    if let Expression::Other { data, .. } = expression {
        to.bytes(NFTA_EXPR_DATA, data);
    } else {
        to.nested(NFTA_EXPR_DATA, |to| encode_fields(expression, to));
    }
}

/// Decodes the list of a rule's expressions.
pub(crate) fn decode_list(list: Attributes<'_>) -> Result<Vec<Expression>, Malformed> {
    list.all(NFTA_LIST_ELEM)
        .map(|element| decode(Attributes::new(element)?))
        .collect()
}

/// Decodes an expression; unknown ones keep their bytes.
pub(crate) fn decode(from: Attributes<'_>) -> Result<Expression, Malformed> {
    let name = from.required_text(NFTA_EXPR_NAME)?;
    let data = from.bytes(NFTA_EXPR_DATA).unwrap_or_default();
    let fields = Attributes::new(data)?;
    let known = match name {
        "bitwise" => bitwise(fields)?,
        "immediate" if Register::read(NFTA_IMMEDIATE_DREG, fields)? == Some(Register::VERDICT) => {
            Verdict::read(NFTA_IMMEDIATE_DATA, fields)?.map(Expression::Verdict)
        }
        "match" => extension(MATCH, fields)?.map(Expression::Match),
        "target" => extension(TARGET, fields)?.map(Expression::Target),
        // With a direction it loads something else.
        "ct" if fields.bytes(NFTA_CT_DIRECTION).is_some() => None,
        // To a program instead of the log, or with parts of the packet.
        "log"
            if [NFTA_LOG_GROUP, NFTA_LOG_FLAGS]
                .into_iter()
                .any(|kind| fields.bytes(kind).is_some()) =>
        {
            None
        }
        "tproxy" if fields.bytes(NFTA_TPROXY_REG_ADDR).is_some() => None,
        "redir" if has_port_range(fields)? => None,
        "nat" if has_other_range(fields)? => None,
        _ => decode_fields(name, fields)?,
    };
    Ok(known.unwrap_or_else(|| Expression::Other {
        name: name.to_owned(),
        data: data.to_owned(),
    }))
}

fn bitwise(fields: Attributes<'_>) -> Result<Option<Expression>, Malformed> {
    let operation = fields.u32(NFTA_BITWISE_OP)?.unwrap_or(NFT_BITWISE_BOOL);
    let (from, to) = (
        AttributeValue::read(NFTA_BITWISE_SREG, fields)?,
        AttributeValue::read(NFTA_BITWISE_DREG, fields)?,
    );
    let (mask, xor) = (
        AttributeValue::read(NFTA_BITWISE_MASK, fields)?,
        AttributeValue::read(NFTA_BITWISE_XOR, fields)?,
    );
    Ok(match (from, to, mask, xor) {
        (Some(from), Some(to), Some(mask), Some(xor)) if operation == NFT_BITWISE_BOOL => {
            Some(Expression::Bitwise {
                from,
                to,
                mask,
                xor,
            })
        }
        _ => None,
    })
}

/// Without a range, the kernel repeats the register of the first port.
fn has_port_range(fields: Attributes<'_>) -> Result<bool, Malformed> {
    let last = fields.u32(NFTA_REDIR_REG_PROTO_MAX)?;
    Ok(last.is_some() && last != fields.u32(NFTA_REDIR_REG_PROTO_MIN)?)
}

/// Whether it changes ports too, or to one of several addresses. Without a range, the kernel repeats the
/// register of the first address.
fn has_other_range(fields: Attributes<'_>) -> Result<bool, Malformed> {
    let last = fields.u32(NFTA_NAT_REG_ADDR_MAX)?;
    let has_range = last.is_some() && last != fields.u32(NFTA_NAT_REG_ADDR_MIN)?;
    Ok(has_range || fields.bytes(NFTA_NAT_REG_PROTO_MIN).is_some())
}

/// The attributes of an extension's name, revision and structure.
type ExtensionAttributes = [AttributeType; 3];

const MATCH: ExtensionAttributes = [NFTA_MATCH_NAME, NFTA_MATCH_REV, NFTA_MATCH_INFO];
const TARGET: ExtensionAttributes = [NFTA_TARGET_NAME, NFTA_TARGET_REV, NFTA_TARGET_INFO];

fn encode_extension(extension: &Extension, kinds: ExtensionAttributes, out: &mut Writer) {
    let [name, revision, info] = kinds;
    out.text(name, &extension.name)
        .u32(revision, extension.revision)
        .bytes(info, &extension.info);
}

fn extension(
    kinds: ExtensionAttributes,
    fields: Attributes<'_>,
) -> Result<Option<Extension>, Malformed> {
    let [name, revision, info] = kinds;
    let found = (
        fields.text(name)?,
        fields.u32(revision)?,
        fields.bytes(info),
    );
    Ok(match found {
        (Some(name), Some(revision), Some(info)) => Some(Extension {
            name: name.to_owned(),
            revision,
            info: info.to_owned(),
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Comparison, CtKey, MetaKey, PayloadBase};
    use super::{Expression, Extension, Register, Verdict, decode, encode};
    use crate::attributes::{Attributes, Malformed, Writer};
    use crate::uapi::nf_tables::{
        NFTA_COUNTER_BYTES, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_DREG,
        NFTA_PAYLOAD_LEN, NFTA_REDIR_REG_PROTO_MIN, NFTA_TPROXY_REG_PORT,
    };

    fn every_condition() -> Vec<Expression> {
        let (one, two) = (Register::ONE, Register::TWO);
        let key = MetaKey::Mark;
        vec![
            Expression::Meta { key, to: one },
            Expression::SetMeta { key, from: two },
            Expression::Payload {
                base: PayloadBase::Transport,
                offset: 2,
                length: 2,
                to: one,
            },
            Expression::Bitwise {
                from: one,
                to: two,
                mask: vec![255; 4],
                xor: vec![0; 4],
            },
            Expression::Compare {
                register: one,
                comparison: Comparison::NotEqual,
                data: vec![0, 53],
            },
            Expression::ByteOrder {
                from: one,
                to: two,
                direction: 1,
                length: 4,
                size: 4,
            },
            Expression::Range {
                register: one,
                comparison: Comparison::Equal,
                first: vec![0, 53],
                last: vec![1, 0],
            },
            Expression::Lookup {
                key: one,
                set: "ports".into(),
                set_id: 3,
                value: Some(Register::VERDICT),
                inverted: true,
            },
            Expression::Immediate {
                to: one,
                data: vec![58, 158],
            },
        ]
    }

    fn every_kind() -> Vec<Expression> {
        let one = Register::ONE;
        let extension = Extension {
            name: "owner".into(),
            revision: 1,
            info: vec![1; 24],
        };
        let others = vec![
            Expression::Verdict(Verdict::Jump("ISTIO_OUTPUT".into())),
            Expression::Verdict(Verdict::Return),
            Expression::Counter {
                packets: 5,
                bytes: 300,
            },
            Expression::Ct {
                key: CtKey::State,
                to: one,
            },
            Expression::SetCt {
                key: CtKey::Zone,
                from: one,
            },
            Expression::Redirect {
                port: Some(one),
                flags: 2,
            },
            Expression::Nat {
                kind: 0,
                family: 2,
                address: one,
                flags: 1,
            },
            Expression::Tproxy {
                family: 2,
                port: one,
            },
            Expression::Reject { kind: 0, code: 1 },
            Expression::Log {
                prefix: Some("out: ".into()),
                level: 7,
            },
            Expression::Log {
                prefix: None,
                level: 4,
            },
            Expression::Match(extension.clone()),
            Expression::Target(extension),
            Expression::Other {
                name: "quota".into(),
                data: vec![],
            },
        ];
        [every_condition(), others].concat()
    }

    #[test]
    fn every_expression_is_decoded_as_it_was_encoded() {
        for expression in every_kind() {
            let mut writer = Writer::default();
            encode(&expression, &mut writer);
            let bytes = writer.into_bytes();
            let attributes = Attributes::new(&bytes).unwrap();
            assert_eq!(decode(attributes), Ok(expression));
        }
    }

    #[test]
    fn a_missing_number_is_an_error_except_one_that_the_kernel_omits() {
        let decoded = |name: &str, write: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::default();
            writer
                .text(NFTA_EXPR_NAME, name)
                .nested(NFTA_EXPR_DATA, |to| write(to));
            decode(Attributes::new(&writer.into_bytes()).unwrap())
        };
        let one = Register::ONE.0;
        let payload = decoded("payload", &|to| {
            to.u32(NFTA_PAYLOAD_DREG, one)
                .u32(NFTA_PAYLOAD_BASE, 1)
                .u32(NFTA_PAYLOAD_LEN, 4);
        });
        let counter = decoded("counter", &|to| {
            to.u64(NFTA_COUNTER_BYTES, 9);
        });
        let tproxy = decoded("tproxy", &|to| {
            to.u32(NFTA_TPROXY_REG_PORT, one);
        });
        for (found, what) in [
            (payload, "NFTA_PAYLOAD_OFFSET"),
            (counter, "NFTA_COUNTER_PACKETS"),
            (tproxy, "NFTA_TPROXY_FAMILY"),
        ] {
            assert_eq!(found, Err(Malformed::Missing { what }));
        }
        let redirect = decoded("redir", &|to| {
            to.u32(NFTA_REDIR_REG_PROTO_MIN, one);
        });
        let flags = 0;
        let port = Some(Register::ONE);
        assert_eq!(redirect, Ok(Expression::Redirect { port, flags }));
    }
}
