//! Names of network interfaces.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// The longest name of an interface: `IFNAMSIZ` less the final NUL (`linux/if.h`).
const MAX_LENGTH: usize = 15;

/// The name of a network interface, or with a final `+` a prefix of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(Cow<'static, str>);

impl InterfaceName {
    /// The valid names, as an error message describes them.
    pub const EXPECTED: &'static str = "an interface name: allowed are 1 to 15 printable \
        characters without spaces, `/`, `:`, `!` or quotes, other than `.` and `..`, \
        not beginning with `-`";

    /// A name that is known to be valid.
    pub(crate) const fn constant(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The loopback interface, `lo`.
    pub fn loopback() -> Self {
        Self::constant("lo")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidValue;

    /// Parses a name by the rules of the kernel (`dev_valid_name`).
    ///
    /// Refuses also what `iptables-restore` would read as something else: quotes, backslashes,
    /// `!`, `#`, and a leading `-`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/:!\"'\\#".contains(&byte);
        let is_valid = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(is_plain)
            && !text.starts_with('-')
            && !matches!(text, "." | "..");
        if is_valid {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(InvalidValue {
                expected: Self::EXPECTED,
            })
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
