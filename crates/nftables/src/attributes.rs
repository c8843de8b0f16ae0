//! Netlink attributes: type, length and value, possibly nested, aligned to four bytes.

use thiserror::Error;

use crate::uapi::AttributeType;
use crate::uapi::netlink::{NLA_ALIGNTO, NLA_F_NESTED, NLA_HDRLEN, NLA_TYPE_MASK};

/// Bytes that are not a valid netlink message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A length field exceeds the remaining bytes, or is smaller than its own header.
    #[error("netlink: invalid length {length} where {left} bytes are left")]
    Length {
        /// The value of the length field.
        length: usize,
        /// The number of remaining bytes.
        left: usize,
    },
    /// A value does not have the size of its type.
    #[error("netlink: `{what}` has an invalid size of {length} bytes")]
    Size {
        /// The attribute, as in the kernel header.
        what: &'static str,
        /// The size in bytes.
        length: usize,
    },
    /// A name is not UTF-8.
    #[error("netlink: `{what}` is not valid UTF-8")]
    Text {
        /// The attribute, as in the kernel header.
        what: &'static str,
    },
    /// A required part is missing.
    #[error("netlink: `{what}` is missing")]
    Missing {
        /// The attribute or structure, as in the kernel header.
        what: &'static str,
    },
}

/// Encodes attributes.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Default for Writer {
    /// With room for the attributes of most messages.
    fn default() -> Self {
        Self(Vec::with_capacity(512))
    }
}

impl Writer {
    pub(crate) fn bytes(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        self.attribute(kind.number, |to| to.0.extend_from_slice(value))
    }

    /// A string with its terminating NUL.
    pub(crate) fn text(&mut self, kind: AttributeType, value: &str) -> &mut Self {
        self.attribute(kind.number, |to| {
            to.0.extend_from_slice(value.as_bytes());
            to.0.push(0);
        })
    }

    pub(crate) fn u32(&mut self, kind: AttributeType, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, kind: AttributeType, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(
        &mut self,
        kind: AttributeType,
        write: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.attribute(kind.number | NLA_F_NESTED, write)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Reserves the header, writes the value, fills in the header and pads.
    ///
    /// No value here comes near the limit of 64 KiB. The kernel would refuse one that exceeds it.
    fn attribute(&mut self, kind: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; NLA_HDRLEN]);
        write(self);
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[at + 2..at + NLA_HDRLEN].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(NLA_ALIGNTO), 0);
        self
    }
}

/// Attributes whose lengths are valid; values are checked when they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'bytes>(&'bytes [u8]);

impl<'bytes> Attributes<'bytes> {
    pub(crate) fn new(bytes: &'bytes [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        while let Some(attribute) = split_first(&mut rest) {
            attribute?;
        }
        Ok(Self(bytes))
    }

    /// The values of all attributes of a type.
    pub(crate) fn all(self, kind: AttributeType) -> impl Iterator<Item = &'bytes [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || split_first(&mut rest)?.ok())
            .filter(move |(number, _)| *number == kind.number)
            .map(|(_, value)| value)
    }

    pub(crate) fn bytes(self, kind: AttributeType) -> Option<&'bytes [u8]> {
        self.all(kind).next()
    }

    /// A string without its terminating NUL.
    pub(crate) fn text(self, kind: AttributeType) -> Result<Option<&'bytes str>, Malformed> {
        self.bytes(kind)
            .map(|value| std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)))
            .transpose()
            .map_err(|_error| Malformed::Text { what: kind.name })
    }

    pub(crate) fn required_text(self, kind: AttributeType) -> Result<&'bytes str, Malformed> {
        let what = kind.name;
        self.text(kind)?.ok_or(Malformed::Missing { what })
    }

    pub(crate) fn u32(self, kind: AttributeType) -> Result<Option<u32>, Malformed> {
        Ok(self.array(kind)?.map(u32::from_be_bytes))
    }

    pub(crate) fn required_u32(self, kind: AttributeType) -> Result<u32, Malformed> {
        let what = kind.name;
        self.u32(kind)?.ok_or(Malformed::Missing { what })
    }

    pub(crate) fn u64(self, kind: AttributeType) -> Result<Option<u64>, Malformed> {
        Ok(self.array(kind)?.map(u64::from_be_bytes))
    }

    pub(crate) fn nested(self, kind: AttributeType) -> Result<Option<Self>, Malformed> {
        self.bytes(kind).map(Self::new).transpose()
    }

    fn array<const N: usize>(self, kind: AttributeType) -> Result<Option<[u8; N]>, Malformed> {
        let (what, value) = (kind.name, self.bytes(kind));
        let length = value.map_or(0, <[u8]>::len);
        value
            .map(<[u8; N]>::try_from)
            .transpose()
            .map_err(|_error| Malformed::Size { what, length })
    }
}

/// Type and value of an attribute.
type Attribute<'bytes> = (u16, &'bytes [u8]);

/// Takes the first attribute off; less than a header is padding.
fn split_first<'bytes>(bytes: &mut &'bytes [u8]) -> Option<Result<Attribute<'bytes>, Malformed>> {
    let [length_low, length_high, kind_low, kind_high] = *bytes.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes([length_low, length_high]));
    let left = bytes.len();
    let Some(value) = bytes.get(NLA_HDRLEN..length) else {
        *bytes = &[];
        return Some(Err(Malformed::Length { length, left }));
    };
    *bytes = bytes
        .get(length.next_multiple_of(NLA_ALIGNTO)..)
        .unwrap_or_default();
    let kind = u16::from_ne_bytes([kind_low, kind_high]) & NLA_TYPE_MASK;
    Some(Ok((kind, value)))
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Malformed, Writer};
    use crate::uapi::attributes;

    attributes! { NAME = 1, NUMBER = 2, NEST = 3, BYTES = 4, LARGE = 5 }

    #[test]
    fn written_attributes_are_read_back() {
        let mut writer = Writer::default();
        writer
            .text(NAME, "nat")
            .u32(NUMBER, 7)
            .nested(NEST, |inner| {
                inner.bytes(BYTES, &[1, 2, 3]).u64(LARGE, 9);
            });
        let bytes = writer.into_bytes();
        assert!(bytes.len().is_multiple_of(4));
        let read = Attributes::new(&bytes).unwrap();
        assert_eq!(read.text(NAME), Ok(Some("nat")));
        assert_eq!(read.u32(NUMBER), Ok(Some(7)));
        let inner = read.nested(NEST).unwrap().unwrap();
        assert_eq!(inner.bytes(BYTES), Some(&[1, 2, 3][..]));
        assert_eq!(inner.u64(LARGE), Ok(Some(9)));
    }

    #[test]
    fn an_invalid_length_is_an_error() {
        for length in [0_u16, 3, 9] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend([1, 0, 0, 0, 0, 0]);
            let error = Attributes::new(&bytes).unwrap_err();
            let length = length.into();
            assert_eq!(error, Malformed::Length { length, left: 8 });
        }
    }
}
