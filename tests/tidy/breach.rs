//! A breach of a law, and how a law fails on all of its breaches at once.

use std::fmt;

/// One place where a law is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// The file, the file and line, or the package.
    pub(crate) place: String,
    /// What is wrong there.
    pub(crate) wrong: String,
    /// What to do about it.
    pub(crate) mend: String,
}

impl Breach {
    pub(crate) fn new(
        place: impl Into<String>,
        wrong: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            wrong: wrong.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    mend: {}", self.place, self.wrong, self.mend)
    }
}

/// Fails, and tells every breach, unless there is none.
#[track_caller]
pub(crate) fn assert_lawful(law: &str, breaches: impl IntoIterator<Item = Breach>) {
    let told: Vec<String> = breaches
        .into_iter()
        .map(|breach| breach.to_string())
        .collect();
    assert!(
        told.is_empty(),
        "{law}\n{} breach(es):\n{}\n",
        told.len(),
        told.join("\n")
    );
}
