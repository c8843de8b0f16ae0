//! The anchors: files that a person compared with a document, and that nothing may change since.

use std::fs;

use sha2::{Digest, Sha256};

use crate::breach::{Breach, assert_lawful};
use crate::workspace::root;

/// The table of what was reviewed.
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
fn anchors_are_as_they_were_reviewed() {
    let ledger = fs::read_to_string(root().join(LEDGER)).expect("the ledger can be read");
    let reviews = reviews(&ledger);
    let unreviewed = ANCHORS
        .iter()
        .filter(|anchor| reviews.iter().all(|row| row.file != **anchor));
    let mend = format!("compare it with its document, then give it a row in {LEDGER}");
    let unreviewed = unreviewed.map(|anchor| Breach::new(*anchor, "not reviewed", mend.as_str()));
    let changed = reviews.iter().filter_map(change);
    assert_lawful(
        "An anchor is what a person read.",
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

fn change(review: &Review<'_>) -> Option<Breach> {
    let Ok(bytes) = fs::read(root().join(review.file)) else {
        return Some(Breach::new(
            review.file,
            "gone",
            format!("take its row out of {LEDGER}"),
        ));
    };
    let found = sha256(&bytes);
    let mend = format!("undo the change, or compare it again and write the new sum in {LEDGER}");
    let wrong = format!("its SHA-256 is `{found}`, reviewed was `{}`", review.sha256);
    (found != review.sha256).then(|| Breach::new(review.file, wrong, mend))
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
fn a_changed_file_is_seen() {
    let review = Review {
        file: LEDGER,
        sha256: "00",
    };
    let breach = change(&review).expect("no file has this sum");
    assert!(breach.wrong.contains("reviewed was `00`"), "{breach}");
}

#[test]
fn the_sum_is_the_standard_one() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256(b""), empty);
}
