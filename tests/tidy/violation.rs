//! A violation of a repository rule, and how a test reports all of them at once.

use std::fmt;

/// One place where a rule is violated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The file, the file and line, or the package.
    pub(crate) place: String,
    /// What is wrong there.
    pub(crate) wrong: String,
    /// How to fix it.
    pub(crate) fix: String,
}

impl Violation {
    pub(crate) fn new(
        place: impl Into<String>,
        wrong: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            wrong: wrong.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    fix: {}", self.place, self.wrong, self.fix)
    }
}

/// Fails with a list of all violations, unless there are none.
#[track_caller]
pub(crate) fn assert_no_violations(rule: &str, violations: impl IntoIterator<Item = Violation>) {
    let list: Vec<String> = violations
        .into_iter()
        .map(|violation| violation.to_string())
        .collect();
    assert!(
        list.is_empty(),
        "{rule}\n{} violation(s):\n{}\n",
        list.len(),
        list.join("\n")
    );
}
