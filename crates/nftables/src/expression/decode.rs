//! Attributes to expressions. What is not known stays as it came.

use super::{Comparison, CtKey, Expression, Extension, MetaKey, PayloadBase, Register, Verdict};
use crate::attributes::{Attribute, Attributes, Malformed};

/// The expressions of a rule.
pub(crate) fn decode_list(list: Attributes<'_>) -> Result<Vec<Expression>, Malformed> {
    list.map(|element| decode(element?.nested())).collect()
}

/// One expression, by its name.
pub(crate) fn decode(attributes: Attributes<'_>) -> Result<Expression, Malformed> {
    let (mut name, mut data) = (None, &[][..]);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            1 => name = Some(attribute.text("the name of an expression")?),
            2 => data = attribute.value,
            _ => {}
        }
    }
    let name = name.ok_or(Malformed::Missing {
        what: "the name of an expression",
    })?;
    let fields = Fields::read(Attributes(data))?;
    let known = known(name, &fields)?;
    Ok(known.unwrap_or_else(|| Expression::Other {
        name: name.to_owned(),
        data: data.to_owned(),
    }))
}

/// What `NFTA_DATA_*` holds: bytes.
pub(crate) fn decode_value(attribute: Attribute<'_>) -> Result<Option<&[u8]>, Malformed> {
    for inner in attribute.nested() {
        let inner = inner?;
        if inner.kind == 1 {
            return Ok(Some(inner.value));
        }
    }
    Ok(None)
}

/// What `NFTA_DATA_*` holds: a verdict.
pub(crate) fn decode_verdict(attribute: Attribute<'_>) -> Result<Option<Verdict>, Malformed> {
    for inner in attribute.nested() {
        let inner = inner?;
        if inner.kind != 2 {
            continue;
        }
        let fields = Fields::read(inner.nested())?;
        let Some(code) = fields.number(1, "the code of a verdict")? else {
            continue;
        };
        let chain = fields.text(2, "the chain of a verdict")?;
        let chain = chain.map(str::to_owned);
        return Ok(Some(Verdict::from_number(code.cast_signed(), chain)));
    }
    Ok(None)
}

/// The attributes of one expression; none has more than a handful.
struct Fields<'bytes>(Vec<Attribute<'bytes>>);

impl<'bytes> Fields<'bytes> {
    fn read(attributes: Attributes<'bytes>) -> Result<Self, Malformed> {
        attributes.collect::<Result<_, _>>().map(Self)
    }

    fn find(&self, kind: u16) -> Option<Attribute<'bytes>> {
        self.0
            .iter()
            .copied()
            .find(|attribute| attribute.kind == kind)
    }

    fn number(&self, kind: u16, what: &'static str) -> Result<Option<u32>, Malformed> {
        self.find(kind)
            .map(|attribute| attribute.u32(what))
            .transpose()
    }

    fn register(&self, kind: u16) -> Result<Option<Register>, Malformed> {
        let number = self.number(kind, "a register")?;
        Ok(number.map(Register))
    }

    fn text(&self, kind: u16, what: &'static str) -> Result<Option<&'bytes str>, Malformed> {
        self.find(kind)
            .map(|attribute| attribute.text(what))
            .transpose()
    }

    fn value(&self, kind: u16) -> Result<Option<Vec<u8>>, Malformed> {
        let Some(attribute) = self.find(kind) else {
            return Ok(None);
        };
        Ok(decode_value(attribute)?.map(<[u8]>::to_owned))
    }
}

/// `None` where an attribute is missing without which the expression is another one.
fn known(name: &str, fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    match name {
        "meta" => meta(fields),
        "payload" => payload(fields),
        "bitwise" => bitwise(fields),
        "cmp" => compare(fields),
        "lookup" => lookup(fields),
        "immediate" => immediate(fields),
        "counter" => counter(fields),
        "ct" => ct(fields),
        "redir" => redirect(fields),
        "tproxy" => tproxy(fields),
        "match" => Ok(extension(fields)?.map(Expression::Match)),
        "target" => Ok(extension(fields)?.map(Expression::Target)),
        _ => Ok(None),
    }
}

fn meta(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let Some(key) = fields.number(2, "the key of `meta`")? else {
        return Ok(None);
    };
    let key = MetaKey::from_number(key);
    Ok(match (fields.register(1)?, fields.register(3)?) {
        (Some(to), None) => Some(Expression::Meta { key, to }),
        (None, Some(from)) => Some(Expression::SetMeta { key, from }),
        _ => None,
    })
}

fn ct(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let Some(key) = fields.number(2, "the key of `ct`")? else {
        return Ok(None);
    };
    // With a direction (`NFTA_CT_DIRECTION`) it asks for something else.
    if fields.find(3).is_some() {
        return Ok(None);
    }
    let key = CtKey::from_number(key);
    Ok(match (fields.register(1)?, fields.register(4)?) {
        (Some(to), None) => Some(Expression::Ct { key, to }),
        (None, Some(from)) => Some(Expression::SetCt { key, from }),
        _ => None,
    })
}

fn payload(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let to = fields.register(1)?;
    let base = fields.number(2, "the header of `payload`")?;
    let offset = fields.number(3, "the offset of `payload`")?;
    let length = fields.number(4, "the length of `payload`")?;
    Ok(match (to, base, offset, length) {
        (Some(to), Some(base), Some(offset), Some(length)) => Some(Expression::Payload {
            base: PayloadBase::from_number(base),
            offset,
            length,
            to,
        }),
        _ => None,
    })
}

fn bitwise(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let operation = fields.number(6, "the operation of `bitwise`")?;
    let (from, to) = (fields.register(1)?, fields.register(2)?);
    let (mask, xor) = (fields.value(4)?, fields.value(5)?);
    Ok(match (from, to, mask, xor, operation.unwrap_or(0)) {
        (Some(from), Some(to), Some(mask), Some(xor), 0) => Some(Expression::Bitwise {
            from,
            to,
            mask,
            xor,
        }),
        _ => None,
    })
}

fn compare(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let register = fields.register(1)?;
    let comparison = fields.number(2, "the comparison of `cmp`")?;
    Ok(match (register, comparison, fields.value(3)?) {
        (Some(register), Some(comparison), Some(data)) => Some(Expression::Compare {
            register,
            comparison: Comparison::from_number(comparison),
            data,
        }),
        _ => None,
    })
}

fn lookup(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let set = fields.text(1, "the name of a set")?;
    let flags = fields.number(5, "the flags of `lookup`")?;
    let set_id = fields.number(4, "the number of a set")?;
    let value = fields.register(3)?;
    Ok(match (fields.register(2)?, set) {
        (Some(key), Some(set)) => Some(Expression::Lookup {
            key,
            set: set.to_owned(),
            set_id: set_id.unwrap_or(0),
            value,
            inverted: flags.is_some_and(|flags| flags & 1 != 0),
        }),
        _ => None,
    })
}

fn immediate(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let (Some(to), Some(data)) = (fields.register(1)?, fields.find(2)) else {
        return Ok(None);
    };
    if to == Register::VERDICT {
        return Ok(decode_verdict(data)?.map(Expression::Verdict));
    }
    let data = decode_value(data)?;
    Ok(data.map(|data| Expression::Immediate {
        to,
        data: data.to_owned(),
    }))
}

fn counter(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let number = |kind, what| {
        let attribute = fields.find(kind);
        let read = attribute.map(|attribute| attribute.u64(what));
        read.transpose().map(Option::unwrap_or_default)
    };
    Ok(Some(Expression::Counter {
        bytes: number(1, "the bytes of a counter")?,
        packets: number(2, "the packets of a counter")?,
    }))
}

fn redirect(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let flags = fields.number(3, "the flags of `redir`")?.unwrap_or(0);
    let (port, last) = (fields.register(1)?, fields.register(2)?);
    // A range of ports is not ours; where both ends are one register it is none.
    let single = last.is_none() || last == port;
    Ok(single.then_some(Expression::Redirect { port, flags }))
}

fn tproxy(fields: &Fields<'_>) -> Result<Option<Expression>, Malformed> {
    let family = fields.number(1, "the family of `tproxy`")?;
    Ok(match (family, fields.find(2), fields.register(3)?) {
        (Some(family), None, Some(port)) => Some(Expression::Tproxy { family, port }),
        _ => None,
    })
}

fn extension(fields: &Fields<'_>) -> Result<Option<Extension>, Malformed> {
    let name = fields.text(1, "the name of an extension")?;
    let revision = fields.number(2, "the revision of an extension")?;
    let info = fields.find(3);
    Ok(match (name, revision, info) {
        (Some(name), Some(revision), Some(info)) => Some(Extension {
            name: name.to_owned(),
            revision,
            info: info.value.to_owned(),
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Comparison, CtKey, MetaKey, PayloadBase, Register};
    use super::super::{Expression, Extension, Verdict, encode::encode};
    use super::decode;
    use crate::attributes::{Attributes, Writer};

    fn every_kind() -> Vec<Expression> {
        let (one, two) = (Register::ONE, Register::TWO);
        let key = MetaKey::Mark;
        let extension = Extension {
            name: "owner".into(),
            revision: 1,
            info: vec![1; 24],
        };
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
            Expression::Tproxy {
                family: 2,
                port: one,
            },
            Expression::Match(extension.clone()),
            Expression::Target(extension),
            Expression::Other {
                name: "quota".into(),
                data: vec![],
            },
        ]
    }

    #[test]
    fn every_expression_comes_back_from_its_bytes() {
        for expression in every_kind() {
            let mut writer = Writer::default();
            encode(&expression, &mut writer);
            let bytes = writer.into_bytes();
            assert_eq!(decode(Attributes(&bytes)), Ok(expression));
        }
    }
}
