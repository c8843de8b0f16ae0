//! A namespace name or a pattern for names.

use std::fmt;
use std::str::FromStr;

use crate::quoted::Quoted;

/// The maximum length of a DNS label, which a namespace name is.
const MAX_LENGTH: usize = 63;

/// A namespace name or a pattern, in which `*` matches any number of characters and `?` exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespacePattern(String);

/// Why a text is not a namespace name or pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespacePatternError {
    /// The text is empty.
    #[error(
        "namespace name is empty, expected a name such as `kube-system` or a pattern such as `kube-*`"
    )]
    Empty,
    /// The text is longer than a namespace name can be.
    #[error(
        "namespace {} has {length} characters, at most {MAX_LENGTH} are allowed",
        Quoted(item)
    )]
    TooLong {
        /// The text.
        item: String,
        /// Its length in characters.
        length: usize,
    },
    /// The text has a character that is not allowed.
    #[error(
        "namespace {} has {} at position {position}, expected lower-case letters, digits, `-`, and the wildcards `*` and `?`",
        Quoted(item), Quoted(&character.to_string())
    )]
    Character {
        /// The text.
        item: String,
        /// The first character that is not allowed.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
}

impl NamespacePattern {
    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches `namespace`.
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
        if let Some((character, position)) = item
            .chars()
            .zip(1..)
            .find(|(character, _)| !is_allowed(*character))
        {
            return Err(NamespacePatternError::Character {
                item: item.to_owned(),
                character,
                position,
            });
        }
        // The text is ASCII, so its length in bytes is that in characters.
        if item.len() > MAX_LENGTH {
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

fn is_allowed(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || "-*?".contains(character)
}

/// Matches without recursion: after a mismatch, the last `*` matches one character more. The number
/// of steps is at most the product of the two lengths.
fn matches(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, text));
                pattern = after;
            }
            (Some((wanted, pattern_rest)), Some((found, text_rest)))
                if *wanted == b'?' || wanted == found =>
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
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern: NamespacePattern = pattern.parse().expect("a pattern");
        for namespace in matching {
            assert!(
                pattern.matches(namespace),
                "{pattern} should match {namespace}"
            );
        }
        for namespace in others {
            assert!(
                !pattern.matches(namespace),
                "{pattern} should not match {namespace}"
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
