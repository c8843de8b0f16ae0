//! Ports, user ids and group ids.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use super::InvalidValue;

/// A TCP or UDP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

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

impl FromStr for Port {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let number = decimal(text).and_then(|number| u16::try_from(number).ok());
        number.and_then(Self::new).ok_or(InvalidValue {
            expected: Self::EXPECTED,
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A user or group id. The largest number is not one: `chown(2)` uses it for "no change".
macro_rules! numeric_id {
    ($name:ident, $kind:literal) => {
        #[doc = concat!("A numeric ", $kind, " id.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            #[doc = concat!("The valid ", $kind, " ids, as an error message describes them.")]
            pub const EXPECTED: &'static str = concat!(
                "a numeric ",
                $kind,
                " id: allowed are whole numbers from 0 to 4294967294"
            );
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let id = decimal(text).filter(|id| *id != u32::MAX);
                id.map(Self).ok_or(InvalidValue {
                    expected: Self::EXPECTED,
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id!(Uid, "user");
numeric_id!(Gid, "group");

/// Digits only: `str::parse` alone would also accept a leading `+`.
fn decimal(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}
