//! Names of chains: built-in ones, and those that programs create.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::value::excerpt;

/// The longest chain name: `XT_EXTENSION_MAXNAMELEN` less the final NUL
/// (`linux/netfilter/x_tables.h`).
const MAX_LENGTH: usize = 28;

/// A chain that the kernel calls at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltinChain {
    /// Arriving packets, before routing.
    Prerouting,
    /// Packets for this namespace.
    Input,
    /// Forwarded packets.
    Forward,
    /// Packets of local processes.
    Output,
    /// Leaving packets, after routing.
    Postrouting,
}

/// The name of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(Cow<'static, str>);

/// A text that netfilter would refuse as the name of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{}` is not a valid chain name: allowed are 1 to {MAX_LENGTH} printable characters without \
     spaces, not beginning with `-` or `!`",
    excerpt(.0, 1)
)]
pub struct InvalidChainName(String);

impl BuiltinChain {
    /// Every built-in chain.
    pub const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// The name as iptables writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

impl ChainName {
    /// A name from a constant.
    ///
    /// # Panics
    ///
    /// If netfilter would refuse the name: in a constant, the program does not compile.
    pub const fn constant(name: &'static str) -> Self {
        assert!(is_valid(name), "not a valid chain name");
        Self(Cow::Borrowed(name))
    }

    /// A name from outside the program.
    pub fn new(name: &str) -> Result<Self, InvalidChainName> {
        if is_valid(name) {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(InvalidChainName(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<BuiltinChain> for ChainName {
    fn from(chain: BuiltinChain) -> Self {
        Self::constant(chain.as_str())
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Printable ASCII of an allowed length that no program reads as an option or a negation.
const fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_LENGTH || matches!(bytes[0], b'-' | b'!') {
        return false;
    }
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_graphic() {
            return false;
        }
        index += 1;
    }
    true
}
