//! The part of the protobuf encoding that the messages use: varints and length-delimited fields.
//!
//! See <https://protobuf.dev/programming-guides/encoding/>.

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// Why bytes are not the expected message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It ends within a field.
    #[error("the message ends within a field")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Overflow,
    /// A field has the number 0, or a number of more than 29 bits.
    #[error("`{0}` is not a field number")]
    FieldNumber(u64),
    /// A field has another encoding than its type, or one that proto3 does not have.
    #[error("field {field} has the wire type {wire_type}")]
    WireType {
        /// Its number.
        field: u64,
        /// The three bits that give its encoding.
        wire_type: u64,
    },
    /// A text is not UTF-8.
    #[error("field {field} is not valid UTF-8")]
    Utf8 {
        /// Its number.
        field: u64,
    },
    /// A field without which the message has no meaning.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A hello with another version than 1.
    #[error("version {0} of the protocol is not supported")]
    Version(u64),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed(u64),
}

impl<'a> Field<'a> {
    pub(crate) fn varint(self) -> Result<u64, DecodeError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            Value::Bytes(_) => Err(self.wrong(LENGTH_DELIMITED)),
            Value::Fixed(wire_type) => Err(self.wrong(wire_type)),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) => Err(self.wrong(VARINT)),
            Value::Fixed(wire_type) => Err(self.wrong(wire_type)),
        }
    }

    pub(crate) fn text(self) -> Result<String, DecodeError> {
        let text = str::from_utf8(self.bytes()?);
        text.map(str::to_owned)
            .map_err(|_utf8| DecodeError::Utf8 { field: self.number })
    }

    fn wrong(self, wire_type: u64) -> DecodeError {
        DecodeError::WireType {
            field: self.number,
            wire_type,
        }
    }
}

/// The fields of a message, in order. A reader ignores those that it does not know.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, DecodeError>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, DecodeError> {
    let key = varint(rest)?;
    let (number, wire_type) = (key >> 3, key & 7);
    if number == 0 || number >= 1 << 29 {
        return Err(DecodeError::FieldNumber(number));
    }
    let value = match wire_type {
        VARINT => Value::Varint(varint(rest)?),
        LENGTH_DELIMITED => {
            let length = usize::try_from(varint(rest)?).map_err(|_large| DecodeError::Truncated)?;
            Value::Bytes(split(rest, length)?)
        }
        FIXED_64 | FIXED_32 => {
            split(rest, if wire_type == FIXED_64 { 8 } else { 4 })?;
            Value::Fixed(wire_type)
        }
        _ => {
            return Err(DecodeError::WireType {
                field: number,
                wire_type,
            });
        }
    };
    Ok(Field { number, value })
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (bytes, after) = rest
        .split_at_checked(length)
        .ok_or(DecodeError::Truncated)?;
    *rest = after;
    Ok(bytes)
}

fn varint(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = split(rest, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return Err(DecodeError::Overflow);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::Overflow)
}

pub(crate) fn put_varint(field: u64, value: u64, to: &mut Vec<u8>) {
    put_number(field << 3 | VARINT, to);
    put_number(value, to);
}

pub(crate) fn put_bytes(field: u64, bytes: &[u8], to: &mut Vec<u8>) {
    put_number(field << 3 | LENGTH_DELIMITED, to);
    put_number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// proto3 does not write a text that is empty.
pub(crate) fn put_text(field: u64, text: &str, to: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(field, text.as_bytes(), to);
    }
}

fn put_number(mut value: u64, to: &mut Vec<u8>) {
    loop {
        let bits = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return to.push(bits);
        }
        to.push(bits | 0x80);
    }
}
