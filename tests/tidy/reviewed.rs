//! Reference files: a person compared them with a document, and they must not change since.

use std::fs;

use sha2::{Digest, Sha256};

use crate::violation::{Violation, assert_no_violations};
use crate::workspace::root;

/// The table of reviewed files.
const LEDGER: &str = "tests/REVIEWED.md";

/// The files that must be in the table.
const ANCHORS: &[&str] = &["crates/rules/tests/anchor/documented-dump.nat.v4.txt"];

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Review<'a> {
    file: &'a str,
    sha256: &'a str,
}

#[test]
fn reference_files_are_as_they_were_reviewed() {
    let ledger = fs::read_to_string(root().join(LEDGER)).expect("the table can be read");
    let reviews = reviews(&ledger);
    let unreviewed = ANCHORS
        .iter()
        .filter(|anchor| reviews.iter().all(|row| row.file != **anchor));
    let fix = format!("compare it with its document, then add it to {LEDGER}");
    let unreviewed = unreviewed.map(|anchor| Violation::new(*anchor, "not reviewed", fix.as_str()));
    let changed = reviews.iter().filter_map(change);
    assert_no_violations(
        "A reference file is one that a person has compared with its document.",
        unreviewed.chain(changed),
    );
}

/// The rows of the table whose first cell is a file in backticks.
fn reviews(ledger: &str) -> Vec<Review<'_>> {
    let rows = ledger.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let file = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let sha256 = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some(Review { file, sha256 })
    });
    rows.collect()
}

fn change(review: &Review<'_>) -> Option<Violation> {
    let Ok(bytes) = fs::read(root().join(review.file)) else {
        return Some(Violation::new(
            review.file,
            "missing",
            format!("remove it from {LEDGER}"),
        ));
    };
    let found = sha256(&bytes);
    let fix = format!("revert the change, or compare it again and update the checksum in {LEDGER}");
    let wrong = format!(
        "its SHA-256 is `{found}`, the reviewed one is `{}`",
        review.sha256
    );
    (found != review.sha256).then(|| Violation::new(review.file, wrong, fix))
}

fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes)
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[test]
fn a_row_is_read_and_a_heading_is_not() {
    let ledger = "| file | sum |\n|---|---|\n| `a.txt` | `00ff` | the page |\n";
    assert_eq!(
        reviews(ledger),
        [Review {
            file: "a.txt",
            sha256: "00ff"
        }]
    );
}

#[test]
fn a_changed_file_is_reported() {
    let review = Review {
        file: LEDGER,
        sha256: "00",
    };
    let violation = change(&review).expect("no file has this sum");
    assert!(
        violation.wrong.contains("the reviewed one is `00`"),
        "{violation}"
    );
}

#[test]
fn the_checksum_of_nothing_is_the_standard_one() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256(b""), empty);
}
