//! Verdicts: what becomes of a packet at the end of a rule.

use std::fmt;

/// The code in the register of verdicts (`enum nft_verdicts`, `linux/netfilter.h`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The packet is discarded.
    Drop,
    /// The packet passes; this hook is done with it.
    Accept,
    /// On with the next rule.
    Continue,
    /// Through that chain, then on with the next rule.
    Jump(String),
    /// On with that chain, and not back here.
    Goto(String),
    /// Back to where this chain was called.
    Return,
    /// Another one, by its number.
    Other(i32),
}

impl Verdict {
    /// Its number on the wire.
    pub fn number(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Continue => -1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
            Self::Other(number) => *number,
        }
    }

    /// The chain to which it leads.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }

    /// The verdict of that number, with the chain where it leads to one.
    pub(crate) fn from_number(number: i32, chain: Option<String>) -> Self {
        match (number, chain) {
            (0, _) => Self::Drop,
            (1, _) => Self::Accept,
            (-1, _) => Self::Continue,
            (-3, Some(chain)) => Self::Jump(chain),
            (-4, Some(chain)) => Self::Goto(chain),
            (-5, _) => Self::Return,
            (other, _) => Self::Other(other),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Accept => f.write_str("accept"),
            Self::Continue => f.write_str("continue"),
            Self::Jump(chain) => write!(f, "jump -> {chain}"),
            Self::Goto(chain) => write!(f, "goto -> {chain}"),
            Self::Return => f.write_str("return"),
            Self::Other(number) => write!(f, "verdict {number}"),
        }
    }
}
