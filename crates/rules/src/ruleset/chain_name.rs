//! Names of chains: the kernel's own, and those that programs make.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// The longest name a chain can have: `XT_EXTENSION_MAXNAMELEN` less the final NUL
/// (`linux/netfilter/x_tables.h`).
const MAX_LENGTH: usize = 28;

/// A chain that the kernel itself calls, at a hook of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltinChain {
    /// As a packet arrives, before routing.
    Prerouting,
    /// A packet for this namespace.
    Input,
    /// A packet that only passes through.
    Forward,
    /// A packet that a process here sent.
    Output,
    /// As a packet leaves, after routing.
    Postrouting,
}

/// The name of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(Cow<'static, str>);

/// A text that netfilter would not take as the name of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no chain name: allowed are 1 to {MAX_LENGTH} printable characters without blanks, \
     not beginning with `-` or `!`"
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

    /// The name as iptables spells it.
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
    /// A name that is known to be good when the program is built.
    pub(crate) const fn fixed(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name that came from outside.
    pub fn new(name: &str) -> Result<Self, InvalidChainName> {
        let printable = name.chars().all(|c| c.is_ascii_graphic());
        if name.is_empty() || name.len() > MAX_LENGTH || !printable || name.starts_with(['-', '!'])
        {
            return Err(InvalidChainName(name.to_owned()));
        }
        Ok(Self(Cow::Owned(name.to_owned())))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of the kernel's own chains this is, if it is one.
    pub fn builtin(&self) -> Option<BuiltinChain> {
        BuiltinChain::ALL
            .into_iter()
            .find(|chain| chain.as_str() == self.as_str())
    }
}

impl From<BuiltinChain> for ChainName {
    fn from(chain: BuiltinChain) -> Self {
        Self::fixed(chain.as_str())
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
