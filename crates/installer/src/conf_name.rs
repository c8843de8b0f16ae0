//! The name of a file that a container runtime reads network configuration from.

use std::fmt;

/// What a `.conf` or `.json` file is called while it is set aside; no runtime reads such a name.
const SAVED: &str = ".mesh-cni-saved";

/// A file name, without a directory, that a container runtime takes: it ends in `.conflist`,
/// `.conf` or `.json`. Ordered as runtimes order them, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfName(String);

/// What a runtime expects in a file of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfKind {
    /// `.conflist`: a list of plugins.
    List,
    /// `.conf`, `.json`: the configuration of a single plugin.
    Single,
}

/// A name that no runtime would take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of a network configuration: allowed is a file name without a directory \
     that ends in .conflist, .conf or .json"
)]
pub struct ConfNameError(String);

impl ConfName {
    /// Takes a file name, such as `10-calico.conflist`.
    pub fn new(name: &str) -> Result<Self, ConfNameError> {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let read = matches!(ending, Some("conflist" | "conf" | "json"));
        if read && !name.contains(['/', '\0']) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ConfNameError(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is to be expected in the file.
    pub fn kind(&self) -> ConfKind {
        if self.0.ends_with(".conflist") {
            ConfKind::List
        } else {
            ConfKind::Single
        }
    }

    /// The name of the list that takes this file's place.
    #[must_use]
    pub fn as_list(&self) -> Self {
        Self(format!("{}.conflist", self.stem()))
    }

    /// The names of the single-plugin files whose place a list of this name can have taken.
    pub fn as_singles(&self) -> [Self; 2] {
        ["conf", "json"].map(|ending| Self(format!("{}.{ending}", self.stem())))
    }

    /// What the file is called while it is set aside.
    pub fn saved(&self) -> String {
        format!("{self}{SAVED}")
    }

    /// The name of the file that was set aside under such a name.
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
    fn only_names_that_a_runtime_reads() {
        for name in ["10-a.conflist", "a.conf", "a.b.json", ".hidden.conf"] {
            assert_eq!(ConfName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "conf", "a.conf.mesh-cni-saved", "a.txt", "b/a.conf"] {
            assert_eq!(ConfName::new(name), Err(ConfNameError(name.to_owned())));
        }
    }

    #[test]
    fn a_single_plugins_file_sorts_before_or_after_its_list_by_its_ending() {
        let [conf, json] = ConfName::new("10-a.conflist").unwrap().as_singles();
        assert!(conf < conf.as_list() && json.as_list() < json);
        assert_eq!(ConfName::of_saved(&conf.saved()), Some(conf));
        assert_eq!(ConfName::of_saved("10-a.conf"), None);
    }
}
