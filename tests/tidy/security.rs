//! The threat model: each promise names tests that exist.

use std::path::Path;

use crate::tree::{File, files};
use crate::violation::{Violation, assert_no_violations};

/// The document. A line that names a file of Rust names its tests after it.
const DOCUMENT: &str = "docs/security.md";

/// The column of the promises' tests; a row without a test is a violation.
const TESTS: &str = "| promise | tests |";

#[test]
fn every_promise_names_tests_that_exist() {
    let files = files();
    let document = files.iter().find(|file| file.path == DOCUMENT);
    let document = document.expect("the threat model is documented");
    let mut promises = 0;
    let mut in_table = false;
    let mut violations = Vec::new();
    for (number, line) in document.lines() {
        in_table = line == TESTS || in_table && line.starts_with('|');
        let is_promise = in_table && line != TESTS && !line.starts_with("|---");
        promises += usize::from(is_promise);
        let at = format!("{DOCUMENT}:{number}");
        violations.extend(
            missing(&files, line)
                .map(|wrong| Violation::new(&at, wrong, "name the test that shows the promise")),
        );
        if is_promise && !line.contains(".rs` `") {
            violations.push(Violation::new(
                &at,
                "a promise without a test",
                "name its file and its name",
            ));
        }
    }
    assert!(
        promises > 0,
        "{DOCUMENT} has no table that begins with `{TESTS}`"
    );
    assert_no_violations("The threat model promises what tests show.", violations);
}

/// The files and tests in a line that do not exist.
fn missing<'a>(files: &'a [File], line: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut source: Option<&File> = None;
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(move |word| {
        if Path::new(word)
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            source = files.iter().find(|file| file.path == word);
            return source.is_none().then(|| format!("no file `{word}`"));
        }
        let is_name = word.contains('_')
            && word
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let source = source.filter(|_| is_name)?;
        let exists = source.text.contains(&format!("fn {word}("));
        (!exists).then(|| format!("`{}` has no test `{word}`", source.path))
    })
}

#[test]
fn a_missing_test_is_reported() {
    let line = format!(
        "| x | `{}` `{}` `no_such_test` `tests/none.rs` |",
        "tests/tidy/security.rs", "a_missing_test_is_reported"
    );
    let found: Vec<_> = missing(&files(), &line).collect();
    assert_eq!(
        found,
        [
            "`tests/tidy/security.rs` has no test `no_such_test`",
            "no file `tests/none.rs`"
        ]
    );
}
