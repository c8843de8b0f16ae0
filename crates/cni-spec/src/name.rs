//! Container ids, interface names and network names, which the specification restricts.

use std::fmt;
use std::str::FromStr;

/// A container's id, from `CNI_CONTAINERID`: ASCII letters, digits, `_`, `.` and `-`, starting with
/// a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

/// The name of an interface in the container, from `CNI_IFNAME`: 1 to 15 bytes without `/`, `:` and
/// whitespace, except `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName(String);

/// A network's name, from the configuration's `name`; the same rules as for [`ContainerId`] apply.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkName(String);

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("is empty, expected at least one character")]
    Empty,
    /// The first character is not an ASCII letter or digit.
    #[error("is `{name}`, but must start with an ASCII letter or digit")]
    Start {
        /// The whole name.
        name: String,
    },
    /// The name has a character that is not allowed.
    #[error("is `{name}`, but `{found}` is not an ASCII letter, digit, `_`, `.` or `-`")]
    Character {
        /// The whole name.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// The interface name has more than 15 bytes.
    #[error("is `{name}`, which has {length} bytes, but at most 15 are allowed")]
    TooLong {
        /// The whole name.
        name: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The interface name is `.` or `..`.
    #[error("is `{name}`, but `.` and `..` are not allowed")]
    Dots {
        /// The whole name.
        name: String,
    },
    /// The interface name has a character that the kernel rejects.
    #[error("is `{name}`, but `/`, `:` and whitespace are not allowed")]
    Separator {
        /// The whole name.
        name: String,
    },
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

as_text!(ContainerId, IfName, NetworkName);

impl FromStr for ContainerId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        identifier(text).map(Self)
    }
}

impl FromStr for NetworkName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        identifier(text).map(Self)
    }
}

impl FromStr for IfName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.to_owned();
        let is_separator = |c: char| c == '/' || c == ':' || c.is_whitespace();
        match text {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Dots { name }),
            long if long.len() > 15 => Err(NameError::TooLong {
                length: long.len(),
                name,
            }),
            bad if bad.contains(is_separator) => Err(NameError::Separator { name }),
            _ => Ok(Self(name)),
        }
    }
}

fn identifier(text: &str) -> Result<String, NameError> {
    let name = text.to_owned();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match text.chars().find(|&c| !is_allowed(c)) {
        Some(found) => Err(NameError::Character { name, found }),
        None if text.is_empty() => Err(NameError::Empty),
        None if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            Err(NameError::Start { name })
        }
        None => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in [
            "a",
            "0",
            "cni0",
            "a_b.c-d",
            "A-",
            "0123456789abcdef_long.enough-to.be.an.id",
        ] {
            assert_eq!(good.parse::<ContainerId>().unwrap().as_str(), good);
            assert_eq!(good.parse::<NetworkName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "_a", "a b", "a/b", "ä", "a:b", "a\n"] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
            assert!(bad.parse::<NetworkName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn interface_names() {
        for good in ["e", "eth0", "a.b", "...", "-", "abcdefghijklmno", "ä"] {
            assert_eq!(good.parse::<IfName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a:b",
            "a b",
            "a\tb",
            "a\u{a0}b",
            "abcdefghijklmnop",
        ] {
            assert!(bad.parse::<IfName>().is_err(), "{bad:?}");
        }
    }
}
