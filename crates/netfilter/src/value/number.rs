//! Ports, user ids and group ids.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use super::InvalidValue;

/// A TCP or UDP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

/// A numeric user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// A numeric group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(pub u32);

impl Port {
    /// The valid ports, as an error message describes them.
    pub const EXPECTED: &'static str = "a port: allowed are whole numbers from 1 to 65535";

    /// A port from a constant.
    ///
    /// # Panics
    ///
    /// If `number` is 0: in a constant, the program does not compile.
    pub const fn constant(number: u16) -> Self {
        Self(NonZeroU16::new(number).expect("a port is not 0"))
    }

    /// The port of that number; `None` for 0.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl Uid {
    /// The valid user ids, as an error message describes them.
    pub const EXPECTED: &'static str =
        "a numeric user id: allowed are whole numbers from 0 to 4294967294";
}

impl Gid {
    /// The valid group ids, as an error message describes them.
    pub const EXPECTED: &'static str =
        "a numeric group id: allowed are whole numbers from 0 to 4294967294";
}

impl FromStr for Port {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let number = decimal(text).and_then(|number| u16::try_from(number).ok());
        number.and_then(Self::new).ok_or(InvalidValue {
            expected: Self::EXPECTED,
        })
    }
}

impl FromStr for Uid {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        id(text, Self::EXPECTED).map(Self)
    }
}

impl FromStr for Gid {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        id(text, Self::EXPECTED).map(Self)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The largest number is not an id: the kernel uses it for "no change" (`chown(2)`).
fn id(text: &str, expected: &'static str) -> Result<u32, InvalidValue> {
    let id = decimal(text).filter(|id| *id != u32::MAX);
    id.ok_or(InvalidValue { expected })
}

/// Digits only: `str::parse` alone would also accept a leading `+`.
fn decimal(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}
