//! File names that a container runtime loads network configurations from.

use std::fmt;

/// Suffix of a `.conf` or `.json` file that an install renamed; no runtime loads such a file.
const SAVED: &str = ".mesh-cni-saved";

/// A file name, without a directory, that a container runtime loads: it ends in `.conflist`,
/// `.conf` or `.json`. The order is that of runtimes: by bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfName(String);

/// The content that a runtime expects, according to the file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfKind {
    /// `.conflist`: a list of plugins.
    List,
    /// `.conf`, `.json`: the configuration of a single plugin.
    Single,
}

/// A name that no runtime would load.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid name of a network configuration: it must be a file name without a \
     directory and end in .conflist, .conf or .json"
)]
pub struct ConfNameError(String);

impl ConfName {
    /// Checks a file name, such as `10-calico.conflist`.
    pub fn new(name: &str) -> Result<Self, ConfNameError> {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let read = matches!(ending, Some("conflist" | "conf" | "json"));
        if read && !name.contains(['/', '\0']) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ConfNameError(name.to_owned()))
        }
    }

    /// The file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of content.
    pub fn kind(&self) -> ConfKind {
        if self.0.ends_with(".conflist") {
            ConfKind::List
        } else {
            ConfKind::Single
        }
    }

    /// The name of the list that this file is converted to.
    #[must_use]
    pub fn as_list(&self) -> Self {
        Self(format!("{}.conflist", self.stem()))
    }

    /// The names of the single plugin files that can have been converted to a list of this name.
    pub fn as_singles(&self) -> [Self; 2] {
        ["conf", "json"].map(|ending| Self(format!("{}.{ending}", self.stem())))
    }

    /// The file's name after an install renamed it.
    pub fn saved(&self) -> String {
        format!("{self}{SAVED}")
    }

    /// The original name of a file that an install renamed.
    pub fn of_saved(saved: &str) -> Option<Self> {
        Self::new(saved.strip_suffix(SAVED)?).ok()
    }

    fn stem(&self) -> &str {
        self.0
            .rsplit_once('.')
            .map_or(self.0.as_str(), |(stem, _)| stem)
    }
}

impl fmt::Display for ConfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_runtime_loads_are_valid() {
        for name in ["10-a.conflist", "a.conf", "a.b.json", ".hidden.conf"] {
            assert_eq!(ConfName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "conf", "a.conf.mesh-cni-saved", "a.txt", "b/a.conf"] {
            assert_eq!(ConfName::new(name), Err(ConfNameError(name.to_owned())));
        }
    }

    #[test]
    fn names_of_converted_files_sort_by_extension() {
        let [conf, json] = ConfName::new("10-a.conflist").unwrap().as_singles();
        assert!(conf < conf.as_list() && json.as_list() < json);
        assert_eq!(ConfName::of_saved(&conf.saved()), Some(conf));
        assert_eq!(ConfName::of_saved("10-a.conf"), None);
    }
}
