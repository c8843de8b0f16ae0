//! Sets of namespaces, given by name or by wildcard.

mod pattern;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::pattern::{NamespacePattern, NamespacePatternError};

/// Namespaces, each given by its name or by a pattern with `*` and `?`.
///
/// As JSON it is a list of strings; as text the same, separated by commas. The empty set holds
/// no namespace.
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
    /// The set of these names and patterns; the error names the first one that is neither.
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

    /// The first pattern of the set that `namespace` matches.
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

    /// Whether the set holds no pattern, hence no namespace.
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
        for (place, pattern) in self.patterns.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{pattern}")?;
        }
        Ok(())
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
