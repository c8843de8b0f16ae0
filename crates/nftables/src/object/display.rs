//! Tables, chains, rules and sets in the format of `nft --debug=netlink`, one expression a line.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_cni_netfilter::ruleset::Family;

use super::{Chain, ChainId, Element, Rule, Set, Table};

impl fmt::Display for Table {
    /// For example `ip nat`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        };
        write!(f, "{family} {}", self.name)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)?;
        let Some(hook) = self.hook else {
            return Ok(());
        };
        let at = hook.at.as_str().to_lowercase();
        let (kind, priority) = (hook.kind.as_str(), hook.priority);
        write!(f, " {{ type {kind} hook {at} priority {priority}; ")?;
        if let Some(policy) = &self.policy {
            write!(f, "policy {policy}; ")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)?;
        self.expressions
            .iter()
            .try_for_each(|expression| write!(f, "\n  {expression}"))?;
        match &self.comment {
            Some(comment) => write!(f, "\n  comment \"{comment}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} {} (number {})", self.table, self.name, self.id)?;
        self.elements
            .iter()
            .try_for_each(|element| write!(f, "\n  {element}"))
    }
}

impl fmt::Display for Element {
    /// Ports as numbers, addresses as addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("element ")?;
        match self.key.as_slice() {
            [high, low] => write!(f, "{}", u16::from_be_bytes([*high, *low]))?,
            key => match (<[u8; 4]>::try_from(key), <[u8; 16]>::try_from(key)) {
                (Ok(key), _) => write!(f, "{}", Ipv4Addr::from(key))?,
                (_, Ok(key)) => write!(f, "{}", Ipv6Addr::from(key))?,
                _ => write!(f, "of {} bytes", key.len())?,
            },
        }
        f.write_str(if self.interval_end { " end" } else { "" })?;
        match &self.comment {
            Some(comment) => write!(f, " comment \"{comment}\""),
            None => Ok(()),
        }
    }
}
