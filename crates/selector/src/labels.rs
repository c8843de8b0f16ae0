//! Label selectors, as Kubernetes writes and reads them.

mod error;
mod object;
mod parse;
mod requirement;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::error::LabelSelectorError;
use self::requirement::Requirement;

/// A choice of objects by their labels.
///
/// As text: `a=b,c!=d,e in (x,y),f notin (z),g,!h`, where all parts must hold. As JSON: that text,
/// or an object with `matchLabels` and `matchExpressions`. Written out it is always the text.
///
/// One thing differs from Kubernetes: a selector without any requirement, which would match
/// everything, is refused, since an empty line in a configuration should not switch a mesh off.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Whether an object with these labels is chosen.
    ///
    /// An absent label satisfies `!=`, `notin` and `!`.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels))
    }

    fn new(requirements: Vec<Requirement>) -> Result<Self, LabelSelectorError> {
        if requirements.is_empty() {
            return Err(LabelSelectorError::Empty);
        }
        Ok(Self { requirements })
    }
}

impl FromStr for LabelSelector {
    type Err = LabelSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(LabelSelectorError::Empty);
        }
        Self::new(parse::requirements(text)?)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, requirement) in self.requirements.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}
