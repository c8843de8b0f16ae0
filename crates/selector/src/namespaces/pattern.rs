//! One namespace name, or a pattern of names.

use std::fmt;
use std::str::FromStr;

use crate::quoted::Quoted;

/// A namespace's name is a DNS label, and no pattern needs more signs than a name has.
const LONGEST: usize = 63;

/// A namespace's name, or a pattern: `*` stands for any signs (none too), `?` for exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespacePattern(String);

/// Why a text is neither a namespace's name nor a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespacePatternError {
    /// The item is empty.
    #[error(
        "namespace `` is empty, expected a name such as `kube-system` or a pattern such as `kube-*`"
    )]
    Empty,
    /// The item is longer than a namespace's name can be.
    #[error(
        "namespace {} has {length} characters, at most {LONGEST} are allowed",
        Quoted(item)
    )]
    TooLong {
        /// The item as given.
        item: String,
        /// Its length in characters.
        length: usize,
    },
    /// A sign that no namespace's name has.
    #[error(
        "namespace {} has {} at position {position}, allowed are lower-case letters, digits, `-`, and the wildcards `*` and `?`",
        Quoted(item), Quoted(&sign.to_string())
    )]
    Sign {
        /// The item as given.
        item: String,
        /// The first sign that is not allowed.
        sign: char,
        /// Its place in the item, counted in characters from 1.
        position: usize,
    },
}

impl NamespacePattern {
    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern covers `namespace`.
    pub fn matches(&self, namespace: &str) -> bool {
        matches(self.0.as_bytes(), namespace.as_bytes())
    }
}

impl FromStr for NamespacePattern {
    type Err = NamespacePatternError;

    fn from_str(item: &str) -> Result<Self, Self::Err> {
        if item.is_empty() {
            return Err(NamespacePatternError::Empty);
        }
        if let Some((place, sign)) = item
            .chars()
            .enumerate()
            .find(|(_, sign)| !is_allowed(*sign))
        {
            return Err(NamespacePatternError::Sign {
                item: item.to_owned(),
                sign,
                position: place + 1,
            });
        }
        // All signs are ASCII here, so bytes are characters.
        if item.len() > LONGEST {
            return Err(NamespacePatternError::TooLong {
                item: item.to_owned(),
                length: item.len(),
            });
        }
        Ok(Self(item.to_owned()))
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<NamespacePattern> for String {
    fn from(pattern: NamespacePattern) -> Self {
        pattern.0
    }
}

fn is_allowed(sign: char) -> bool {
    sign.is_ascii_lowercase() || sign.is_ascii_digit() || matches!(sign, '-' | '*' | '?')
}

/// Matches without recursion: on a mismatch only the last `*` is asked to take one sign more, which
/// bounds the work by the product of the lengths.
fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, text));
                pattern = after;
            }
            (Some((sign, pattern_rest)), Some((found, text_rest)))
                if *sign == b'?' || sign == found =>
            {
                (pattern, text) = (pattern_rest, text_rest);
            }
            (None, None) => return true,
            _ => {
                let Some((after, [_, rest @ ..])) = retry else {
                    return false;
                };
                retry = Some((after, rest));
                (pattern, text) = (after, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NamespacePattern;

    #[track_caller]
    fn check(pattern: &str, covered: &[&str], not_covered: &[&str]) {
        let pattern: NamespacePattern = pattern.parse().expect("a pattern");
        for namespace in covered {
            assert!(
                pattern.matches(namespace),
                "{pattern} should cover {namespace}"
            );
        }
        for namespace in not_covered {
            assert!(
                !pattern.matches(namespace),
                "{pattern} should not cover {namespace}"
            );
        }
    }

    #[test]
    fn names_and_wildcards() {
        check(
            "kube-system",
            &["kube-system"],
            &["kube-system2", "kube-syste", "", "my-kube-system"],
        );
        check("kube-*", &["kube-system", "kube-"], &["kube", "my-kube-a"]);
        check("*", &["a", "kube-system"], &[]);
        check(
            "*-system",
            &["kube-system", "a-system-system"],
            &["system", "kube-systems"],
        );
        check("team-?", &["team-a"], &["team-", "team-ab"]);
        check("a*b*c", &["abc", "axxbyybzc"], &["ab", "acb", "abcd"]);
        check("*a?", &["aab", "xxab"], &["a", "ba"]);
    }
}
