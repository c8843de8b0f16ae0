//! Verdicts: what happens to a packet at the end of a rule.

use std::fmt;

use mesh_cni_netfilter::ruleset::{ChainName, Target};

use crate::uapi::netfilter::{NF_ACCEPT, NF_DROP};
use crate::uapi::nf_tables::{NFT_CONTINUE, NFT_GOTO, NFT_JUMP, NFT_RETURN};

/// The code in the verdict register (`enum nft_verdicts`, `linux/netfilter.h`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Discards the packet.
    Drop,
    /// Accepts the packet at this hook.
    Accept,
    /// Continues with the next rule.
    Continue,
    /// Continues with a chain, then with the next rule.
    Jump(String),
    /// Continues with a chain and does not return here.
    Goto(String),
    /// Returns to the calling chain.
    Return,
    /// Another one, by its number.
    Other(i32),
}

impl Verdict {
    /// The kernel's number.
    pub fn number(&self) -> i32 {
        match self {
            Self::Drop => NF_DROP,
            Self::Accept => NF_ACCEPT,
            Self::Continue => NFT_CONTINUE,
            Self::Jump(_) => NFT_JUMP,
            Self::Goto(_) => NFT_GOTO,
            Self::Return => NFT_RETURN,
            Self::Other(number) => *number,
        }
    }

    /// The chain of a jump or goto.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }

    pub(crate) fn from_number(number: i32, chain: Option<String>) -> Self {
        match (number, chain) {
            (NF_DROP, _) => Self::Drop,
            (NF_ACCEPT, _) => Self::Accept,
            (NFT_CONTINUE, _) => Self::Continue,
            (NFT_JUMP, Some(chain)) => Self::Jump(chain),
            (NFT_GOTO, Some(chain)) => Self::Goto(chain),
            (NFT_RETURN, _) => Self::Return,
            (other, _) => Self::Other(other),
        }
    }

    /// The verdict of a target; `None` for targets that are not verdicts.
    pub(crate) fn of_target(target: &Target) -> Option<Self> {
        Some(match target {
            Target::Return => Self::Return,
            Target::Accept => Self::Accept,
            Target::Drop => Self::Drop,
            Target::Jump(chain) => Self::Jump(chain.as_str().to_owned()),
            _ => return None,
        })
    }

    /// The target of a verdict; `None` if the rule model has none.
    pub(crate) fn to_target(&self) -> Option<Target> {
        Some(match self {
            Self::Return => Target::Return,
            Self::Accept => Target::Accept,
            Self::Drop => Target::Drop,
            Self::Jump(chain) => Target::Jump(ChainName::new(chain).ok()?),
            Self::Continue => Target::Opaque(String::new()),
            Self::Goto(_) | Self::Other(_) => return None,
        })
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
