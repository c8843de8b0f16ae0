//! Sets of namespaces, by name or pattern.

mod pattern;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::pattern::{NamespacePattern, NamespacePatternError};

/// A set of namespaces, as a list of names and of patterns with `*` and `?`.
///
/// In JSON it is a list of strings; in text the items are separated by commas.
///
/// ```
/// use mesh_cni_selector::NamespaceSet;
///
/// let set: NamespaceSet = "kube-*, istio-system".parse()?;
/// assert_eq!(set.matching("kube-public").map(|pattern| pattern.as_str()), Some("kube-*"));
/// assert!(!set.contains("default"));
/// # Ok::<(), mesh_cni_selector::NamespacePatternError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct NamespaceSet {
    patterns: Vec<NamespacePattern>,
}

impl NamespaceSet {
    /// Parses the names and patterns; the error contains the first invalid one.
    pub fn new<I>(items: I) -> Result<Self, NamespacePatternError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let patterns = items
            .into_iter()
            .map(|item| item.as_ref().parse())
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The first pattern that matches `namespace`.
    pub fn matching(&self, namespace: &str) -> Option<&NamespacePattern> {
        self.patterns
            .iter()
            .find(|pattern| pattern.matches(namespace))
    }

    /// Whether `namespace` is in the set.
    pub fn contains(&self, namespace: &str) -> bool {
        self.matching(namespace).is_some()
    }

    /// The patterns, in the order given.
    pub fn patterns(&self) -> &[NamespacePattern] {
        &self.patterns
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl FromIterator<NamespacePattern> for NamespaceSet {
    fn from_iter<I: IntoIterator<Item = NamespacePattern>>(patterns: I) -> Self {
        Self {
            patterns: patterns.into_iter().collect(),
        }
    }
}

impl FromStr for NamespaceSet {
    type Err = NamespacePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        Self::new(text.split(',').map(str::trim))
    }
}

impl fmt::Display for NamespaceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.patterns.iter().map(NamespacePattern::as_str).collect();
        f.write_str(&patterns.join(","))
    }
}

impl TryFrom<Vec<String>> for NamespaceSet {
    type Error = NamespacePatternError;

    fn try_from(items: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(items)
    }
}

impl From<NamespaceSet> for Vec<String> {
    fn from(set: NamespaceSet) -> Self {
        set.patterns.into_iter().map(String::from).collect()
    }
}
