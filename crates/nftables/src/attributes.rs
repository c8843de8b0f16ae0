//! Netlink attributes: type, length and value, nested, each beginning at a multiple of four.

use thiserror::Error;

/// The header of an attribute: length and type.
const HEADER: usize = 4;
/// The value is a list of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// The bits of the type that are the type (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;

/// Bytes that are no message of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A length leads past the end, or is shorter than its own header.
    #[error("netlink: a length of {length} where {left} bytes are left")]
    Length {
        /// What the length says.
        length: usize,
        /// How much there is.
        left: usize,
    },
    /// A value does not have the size of its type.
    #[error("netlink: {what} has {length} bytes")]
    Size {
        /// Whose value.
        what: &'static str,
        /// How many bytes it has.
        length: usize,
    },
    /// A name is not UTF-8.
    #[error("netlink: {what} is no text")]
    Text {
        /// Whose name.
        what: &'static str,
    },
    /// Something that must be there is not.
    #[error("netlink: {what} is missing")]
    Missing {
        /// What.
        what: &'static str,
    },
}

/// Attributes being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; HEADER]);
        self.0.extend_from_slice(value);
        self.finish(at, kind)
    }

    /// A text with its final NUL.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; HEADER]);
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        self.finish(at, kind)
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; HEADER]);
        write(self);
        self.finish(at, kind | NESTED)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes the header over the place that was kept for it, and fills up to a multiple of four.
    ///
    /// No value of ours comes near the 64 KiB that a length can say; one that did would be cut
    /// short, and the kernel would refuse the message as malformed.
    fn finish(&mut self, at: usize, kind: u16) -> &mut Self {
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[at + 2..at + HEADER].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'bytes> {
    pub(crate) kind: u16,
    pub(crate) value: &'bytes [u8],
}

/// The attributes in some bytes, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'bytes>(pub(crate) &'bytes [u8]);

impl<'bytes> Iterator for Attributes<'bytes> {
    type Item = Result<Attribute<'bytes>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        // Less than a header is padding.
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let Some(value) = bytes.get(HEADER..length) else {
            self.0 = &[];
            let left = bytes.len();
            return Some(Err(Malformed::Length { length, left }));
        };
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes(*kind) & TYPE_MASK;
        Some(Ok(Attribute { kind, value }))
    }
}

impl<'bytes> Attribute<'bytes> {
    pub(crate) fn nested(self) -> Attributes<'bytes> {
        Attributes(self.value)
    }

    /// A text, without its final NUL.
    pub(crate) fn text(self, what: &'static str) -> Result<&'bytes str, Malformed> {
        let text = self.value.strip_suffix(&[0]).unwrap_or(self.value);
        std::str::from_utf8(text).map_err(|_no_text| Malformed::Text { what })
    }

    pub(crate) fn u32(self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }

    fn array<const LENGTH: usize>(self, what: &'static str) -> Result<[u8; LENGTH], Malformed> {
        let length = self.value.len();
        let wrong = |_error| Malformed::Size { what, length };
        self.value.try_into().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Malformed, Writer};

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.text(1, "nat").u32(2, 7).nested(3, |inner| {
            inner.bytes(4, &[1, 2, 3]).u64(5, 9);
        });
        let bytes = writer.into_bytes();
        assert!(bytes.len().is_multiple_of(4));
        let read: Vec<_> = Attributes(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(read[0].text("name"), Ok("nat"));
        assert_eq!((read[1].kind, read[1].u32("number")), (2, Ok(7)));
        let inner: Vec<_> = read[2].nested().collect::<Result<_, _>>().unwrap();
        assert_eq!(inner[0].value, [1, 2, 3]);
        assert_eq!(inner[1].u64("number"), Ok(9));
    }

    #[test]
    fn a_length_that_lies_is_an_error_and_an_end() {
        for lie in [0_u16, 3, 9] {
            let mut bytes = lie.to_ne_bytes().to_vec();
            bytes.extend([1, 0, 0, 0, 0, 0]);
            let mut attributes = Attributes(&bytes);
            let error = attributes.next().unwrap().unwrap_err();
            assert_eq!(
                error,
                Malformed::Length {
                    length: lie.into(),
                    left: 8
                }
            );
            assert!(attributes.next().is_none());
        }
    }
}
