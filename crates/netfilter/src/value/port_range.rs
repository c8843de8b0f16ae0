//! Ranges of ports.

use std::fmt;
use std::str::FromStr;

use super::{InvalidValue, Port};

/// The ports from a first to a last one, both included. In a condition, 0 is a port too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port, 0 to 65535.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// The valid ranges, as an error message describes them.
    pub const EXPECTED: &'static str = "a port or a range of ports: allowed are whole numbers from \
        0 to 65535, and ranges such as `8000:8100`, `:1024` and `1024:`";

    /// What is wrong with a range whose first port is greater than its last, as an error message
    /// describes it.
    const REVERSED: &'static str =
        "a range of ports: the first port must not be greater than the last";

    /// The range between these ports; `None` if the first is greater than the last.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The first port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// The port of a range that contains only one, other than 0.
    pub fn single(self) -> Option<Port> {
        Port::new(self.first).filter(|_| self.first == self.last)
    }

    /// Whether a port is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether all ports of another range are in this one.
    pub fn covers(self, other: Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }

    /// The ports that are not in the range, if they are a range.
    pub(crate) fn others(self) -> Option<Self> {
        match (self.first, self.last) {
            (0, last) => Self::new(last.checked_add(1)?, u16::MAX),
            (first, u16::MAX) => Self::new(0, first - 1),
            _ => None,
        }
    }

    /// The same ports as few ranges, in ascending order: ranges that overlap or adjoin become one.
    pub fn merged(ranges: &[Self]) -> Vec<Self> {
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        let mut merged: Vec<Self> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => merged.push(range),
            }
        }
        merged
    }
}

impl From<Port> for PortRange {
    fn from(port: Port) -> Self {
        let port = port.get();
        Self {
            first: port,
            last: port,
        }
    }
}

impl FromStr for PortRange {
    type Err = InvalidValue;

    /// Parses a port or `FIRST:LAST` like `iptables --dport`: the first port may be omitted for 0,
    /// and the last for 65535.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let port = |text: &str, omitted: Option<u16>| match (text, omitted) {
            ("", Some(port)) => Some(port),
            ("0", _) => Some(0),
            (text, _) => text.parse().ok().map(Port::get),
        };
        let ends = match text.split_once(':') {
            Some((first, last)) => (port(first, Some(0)), port(last, Some(u16::MAX))),
            None => (port(text, None), port(text, None)),
        };
        let (Some(first), Some(last)) = ends else {
            return Err(InvalidValue {
                expected: Self::EXPECTED,
            });
        };
        Self::new(first, last).ok_or(InvalidValue {
            expected: Self::REVERSED,
        })
    }
}

impl fmt::Display for PortRange {
    /// As iptables writes it: `80` or `8000:8100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.first == self.last {
            return Ok(());
        }
        write!(f, ":{}", self.last)
    }
}

impl fmt::Debug for PortRange {
    /// A single port like a [`Port`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            f.debug_tuple("Port").field(&self.first).finish()
        } else {
            let ports = self.first..=self.last;
            f.debug_tuple("PortRange").field(&ports).finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(u16, u16)> {
        let range = text.parse::<PortRange>().ok()?;
        Some((range.first(), range.last()))
    }

    #[test]
    fn ranges_are_parsed_as_iptables_does() {
        for (text, range) in [
            ("80", (80, 80)),
            ("0", (0, 0)),
            ("8000:8100", (8000, 8100)),
            ("80:80", (80, 80)),
            (":1024", (0, 1024)),
            ("1024:", (1024, 65535)),
            (":", (0, 65535)),
            ("0:65535", (0, 65535)),
        ] {
            assert_eq!(parsed(text), Some(range), "{text}");
        }
        for text in [
            "", "http", "65536", "1:65536", "1:2:3", "80-90", "-1", "+1:2", "1: 2", "9:8",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        let reversed = "20000:10000".parse::<PortRange>().unwrap_err();
        assert!(reversed.to_string().contains("must not be greater"));
    }

    #[test]
    fn merged_ranges_contain_the_same_ports() {
        let ranges = ["10:20", "5", "21:30", "15:16", "40", "0", "65535", "100:"]
            .map(|text| text.parse::<PortRange>().expect("a range"));
        let merged: Vec<_> = PortRange::merged(&ranges)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(merged, ["0", "5", "10:30", "40", "100:65535"]);
    }
}
