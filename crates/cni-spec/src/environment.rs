//! The environment of a call, handed in by the program instead of being read here.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::CniError;

/// The environment variables of one call.
///
/// Built by the program from `std::env::vars_os()`, by a test from a list of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// An environment of these pairs; of two with the same name the last one counts.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: pairs.collect(),
        }
    }

    /// The value of a variable, `None` when it is not set.
    ///
    /// A value that is not UTF-8 is an error of code 4 that names the variable; it is never
    /// replaced by a guess.
    pub fn get(&self, name: &str) -> Result<Option<&str>, CniError> {
        let Some(value) = self.variables.get(std::ffi::OsStr::new(name)) else {
            return Ok(None);
        };
        let text = value.to_str().ok_or_else(|| {
            CniError::environment(format!(
                "{name} is `{}`, which is not UTF-8",
                value.display()
            ))
        })?;
        Ok(Some(text))
    }

    /// As [`Environment::get`], the empty value counting as not set.
    pub fn get_non_empty(&self, name: &str) -> Result<Option<&str>, CniError> {
        Ok(self.get(name)?.filter(|value| !value.is_empty()))
    }
}
