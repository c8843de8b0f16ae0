//! Ranges of user and group ids.

use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// The user or group ids from a first to a last one, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdRange<Id> {
    first: Id,
    last: Id,
}

impl<Id: Copy + Ord> IdRange<Id> {
    /// The range between these ids; `None` if the first is greater than the last.
    pub fn new(first: Id, last: Id) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The first id.
    pub fn first(self) -> Id {
        self.first
    }

    /// The last id.
    pub fn last(self) -> Id {
        self.last
    }

    /// The id of a range that contains only one.
    pub fn single(self) -> Option<Id> {
        (self.first == self.last).then_some(self.first)
    }

    /// Whether an id is in the range.
    pub fn contains(self, id: Id) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

impl<Id: Copy> From<Id> for IdRange<Id> {
    fn from(id: Id) -> Self {
        Self {
            first: id,
            last: id,
        }
    }
}

impl<Id: Copy + Ord + FromStr<Err = InvalidValue>> FromStr for IdRange<Id> {
    type Err = InvalidValue;

    /// Parses an id, or `FIRST-LAST` or `FIRST:LAST` like `iptables --uid-owner`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((first, last)) = text.split_once(['-', ':']) else {
            return text.parse().map(Id::into);
        };
        Self::new(first.parse()?, last.parse()?).ok_or(InvalidValue {
            expected: "a range of ids: the first must not be greater than the last",
        })
    }
}

impl<Id: Copy + Ord + fmt::Display> fmt::Display for IdRange<Id> {
    /// As iptables writes it: `1337` or `1000-2000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.first == self.last {
            return Ok(());
        }
        write!(f, "-{}", self.last)
    }
}

impl<Id: Copy + Ord + fmt::Debug> fmt::Debug for IdRange<Id> {
    /// A single id like itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(id) => id.fmt(f),
            None => (self.first..=self.last).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IdRange;
    use crate::value::Uid;

    #[test]
    fn ranges_are_parsed_as_iptables_does() {
        for (text, written) in [
            ("1337", "1337"),
            ("1000-2000", "1000-2000"),
            ("1000:2000", "1000-2000"),
            ("5-5", "5"),
            ("0-4294967294", "0-4294967294"),
        ] {
            let range = text.parse::<IdRange<Uid>>().map(|range| range.to_string());
            assert_eq!(range, Ok(written.to_owned()), "{text}");
        }
        for text in ["", "-", "-5", "5-", "9-8", "1-2-3", "root", "0-4294967295"] {
            assert!(text.parse::<IdRange<Uid>>().is_err(), "{text}");
        }
    }
}
