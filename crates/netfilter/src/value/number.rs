//! Ports, user ids and group ids: never bare integers across a function boundary.

use std::fmt;
use std::num::NonZeroU16;

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
    /// What a port has to look like.
    pub const EXPECTED: &'static str = "a port: allowed are whole numbers from 1 to 65535";

    /// A port from a constant.
    ///
    /// # Panics
    ///
    /// If `number` is 0: in a constant, the program does not compile.
    pub const fn constant(number: u16) -> Self {
        Self(NonZeroU16::new(number).expect("ports in the source are not 0"))
    }

    /// The port of that number; 0 is none.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// Reads a port from decimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(u16::try_from(decimal(text)?).ok()?)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl Uid {
    /// What a user id has to look like.
    pub const EXPECTED: &'static str =
        "a numeric user id: allowed are whole numbers from 0 to 4294967294";

    /// Reads a user id from decimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        decimal(text).filter(|id| *id != u32::MAX).map(Self)
    }
}

impl Gid {
    /// What a group id has to look like.
    pub const EXPECTED: &'static str =
        "a numeric group id: allowed are whole numbers from 0 to 4294967294";

    /// Reads a group id from decimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        decimal(text).filter(|id| *id != u32::MAX).map(Self)
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

/// Digits only: `str::parse` alone would also take a leading `+`.
fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
