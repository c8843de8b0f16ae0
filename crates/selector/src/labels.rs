//! Kubernetes label selectors.

mod error;
mod object;
mod parse;
mod requirement;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::error::{LabelSelectorError, SelectorObjectError};
use self::requirement::Requirement;

/// Selects objects by their labels, such as `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
///
/// All requirements must hold. In JSON, a selector is a string with this text; see
/// [`from_object`](Self::from_object) for the form of the Kubernetes API.
///
/// Unlike in Kubernetes, an empty selector is an error: it would match every object, and an empty
/// value in a configuration must not turn the mesh off.
///
/// ```
/// use std::collections::BTreeMap;
/// use mesh_cni_selector::LabelSelector;
///
/// let selector: LabelSelector = "mesh in (off, none), !keep".parse()?;
/// assert!(selector.matches(&BTreeMap::from([("mesh".to_owned(), "off".to_owned())])));
/// assert!(!selector.matches(&BTreeMap::new()));
///
/// let error = "mesh in off".parse::<LabelSelector>().unwrap_err();
/// assert_eq!(error.to_string(), "label selector has `o` at position 9, expected `(`");
/// # Ok::<(), mesh_cni_selector::LabelSelectorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// The keys of the labels that it reads.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(Requirement::key)
    }

    /// Whether an object with these labels is selected.
    ///
    /// An absent label satisfies `!=`, `notin` and `!`.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels))
    }
}

impl FromStr for LabelSelector {
    type Err = LabelSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(LabelSelectorError::Empty);
        }
        Ok(Self {
            requirements: parse::requirements(text)?,
        })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requirements: Vec<_> = self.requirements.iter().map(ToString::to_string).collect();
        f.write_str(&requirements.join(","))
    }
}

impl TryFrom<String> for LabelSelector {
    type Error = LabelSelectorError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LabelSelector> for String {
    fn from(selector: LabelSelector) -> Self {
        selector.to_string()
    }
}
