//! The environment variables of a call.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::CniError;

/// The environment variables of a call.
///
/// Programs create it from `std::env::vars_os()`, tests from a list of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// An environment with these pairs; a later pair replaces an earlier one of the same name.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            variables: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// The value of a variable; `None` if it is not set.
    ///
    /// Fails with code 4 if the value is not UTF-8.
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

    /// As [`Environment::get`], but an empty value counts as not set.
    pub fn get_non_empty(&self, name: &str) -> Result<Option<&str>, CniError> {
        Ok(self.get(name)?.filter(|value| !value.is_empty()))
    }
}
