//! Chains, rules and sets for people: one instruction a line, as `nft --debug=netlink` prints.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::object::{Chain, Element, ElementValue, Rule, Set};

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
        for expression in &self.expressions {
            write!(f, "\n  {expression}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.flags.verdict_map { "map" } else { "set" };
        let (table, name, id) = (&self.table, &self.name, self.id);
        write!(f, "{word} {table} {name} (number {id})")?;
        for element in &self.elements {
            write!(f, "\n  {element}")?;
        }
        Ok(())
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
        if self.interval_end {
            f.write_str(" end")?;
        }
        match &self.value {
            Some(ElementValue::Verdict(verdict)) => write!(f, " : {verdict}"),
            Some(ElementValue::Data(data)) => write!(f, " : {} bytes", data.len()),
            None => Ok(()),
        }
    }
}
