//! Names of network interfaces.

use std::fmt;

/// The longest name an interface can have: `IFNAMSIZ` less the final NUL (`linux/if.h`).
const MAX_LENGTH: usize = 15;

/// The name of a network interface, or with a final `+` of all that begin so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// What a name has to look like.
    pub const EXPECTED: &'static str = "an interface name: allowed are 1 to 15 printable \
        characters without blanks, `/`, `:`, `!` or quotes, other than `.` and `..`, \
        not beginning with `-`";

    /// Reads a name by the kernel's rules (`dev_valid_name`).
    ///
    /// Narrower than the kernel in what `iptables-restore` would read as something else:
    /// quotes, backslashes, `!`, and a `-` in front.
    pub fn parse(text: &str) -> Option<Self> {
        let length = (1..=MAX_LENGTH).contains(&text.len());
        let plain = text.bytes().all(is_plain) && !text.starts_with('-');
        let taken = length && plain && text != "." && text != "..";
        taken.then(|| Self(text.to_owned()))
    }

    /// The loopback interface, `lo`.
    pub fn loopback() -> Self {
        Self("lo".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"/:!\"'\\#".contains(&byte)
}
