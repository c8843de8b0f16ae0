//! Quotations: a message in the documentation is one that a program prints.

use std::path::Path;

use mesh_cni_agent_api::AddOutcome;

use crate::tree::{File, files};
use crate::violation::{Violation, assert_no_violations};

/// The documents that quote messages, in blocks whose first line is one of [`KINDS`].
const QUOTING: &[&str] = &["docs/troubleshooting.md"];

/// What a block quotes: an error, a decision, or the output of a program.
const KINDS: &[&str] = &["```error", "```select", "```verify", "```install"];

/// Replaces what differs from case to case.
const ANYTHING: char = '…';

/// Where the plugin's own error codes are defined, and where they are documented.
const CODES: [&str; 2] = ["crates/plugin/src/error.rs", "docs/errors.md"];

#[test]
fn documents_quote_what_programs_print() {
    let files = files();
    let snapshots = files.iter().filter(|file| is_snapshot(file));
    let printed: Vec<_> = snapshots.flat_map(|file| file.text.lines()).collect();
    let quoting = QUOTING.iter().map(|path| found(&files, path));
    let violations = quoting.flat_map(|file| {
        let mut quotes = quotes(&file.text);
        quotes.retain(|(_, quote)| !printed.iter().any(|line| contains_quote(line, quote)));
        let violation = |(number, quote): (usize, &str)| {
            Violation::new(
                format!("{}:{number}", file.path),
                format!("no snapshot of a test has `{quote}`"),
                "quote what the program prints now; `…` replaces what differs from case to case",
            )
        };
        quotes.into_iter().map(violation).collect::<Vec<_>>()
    });
    assert_no_violations("Documents quote what programs print.", violations);
}

#[test]
fn every_error_code_of_our_own_is_documented() {
    let files = files();
    let [source, document] = CODES.map(|path| found(&files, path));
    let mut codes = codes(&source.text);
    assert!(!codes.is_empty(), "{} defines no code", source.path);
    codes.retain(|code| !document.text.contains(&format!("| {code} |")));
    let violations = codes.into_iter().map(|code| {
        Violation::new(
            document.path.clone(),
            format!("code {code} has no row"),
            format!("document when {} returns it, and what to do", source.path),
        )
    });
    assert_no_violations("Every error code of our own is documented.", violations);
}

/// The codes of STATUS, of CHECK, and of a configuration that is refused before an ADD starts.
const NOT_OF_ADD: [&str; 3] = ["1", "50", "102"];

#[test]
fn every_error_code_of_an_add_is_a_series_of_the_agent() {
    let files = files();
    let document = found(&files, CODES[1]);
    let rows = document
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    let codes = rows
        .filter_map(|row| row.split_once(" |"))
        .map(|(code, _)| code);
    let mut codes: Vec<_> = codes.filter(|code| code.parse::<u32>().is_ok()).collect();
    assert!(!codes.is_empty(), "{} documents no code", document.path);
    codes.retain(|code| !NOT_OF_ADD.contains(code));
    let violations = codes.into_iter().filter_map(|code| {
        let fix = "add it to the codes in crates/agent-api/src/report.rs";
        let is_missing = AddOutcome::Error.known_reason(code) != code;
        is_missing
            .then(|| Violation::new(CODES[1], format!("code {code} is counted as `other`"), fix))
    });
    assert_no_violations("The first refusal with a code is counted.", violations);
}

fn is_snapshot(file: &File) -> bool {
    let extension = Path::new(&file.path).extension();
    extension.is_some_and(|extension| extension == "snap")
}

fn found<'files>(files: &'files [File], path: &str) -> &'files File {
    let file = files.iter().find(|file| file.path == path);
    file.expect("a file that a rule names exists")
}

/// The numbers of `pub const NAME: u32 = NUMBER;`.
fn codes(text: &str) -> Vec<&str> {
    let constants = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const "));
    let numbers = constants.filter_map(|line| line.split_once(": u32 = "));
    numbers
        .filter_map(|(_, number)| number.strip_suffix(';'))
        .collect()
}

/// The lines of quoting blocks, with their numbers.
fn quotes(text: &str) -> Vec<(usize, &str)> {
    let mut quoting = false;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with("```") {
            quoting = KINDS.contains(&line);
        } else if quoting {
            found.push((number, line));
        }
    }
    found
}

/// Whether the line contains the parts of the quotation in their order.
fn contains_quote(line: &str, quote: &str) -> bool {
    let mut rest = Some(line);
    for piece in quote.split(ANYTHING) {
        rest = rest
            .and_then(|rest| rest.split_once(piece))
            .map(|(_, rest)| rest);
    }
    rest.is_some()
}

#[test]
fn a_quotation_may_omit_text_but_not_change_it() {
    assert!(contains_quote("  7 pod a/b: wrong, fix it", "pod …: wrong"));
    assert!(!contains_quote(
        "  7 pod a/b: wrong, fix it",
        "pod …: broken"
    ));
    assert!(!contains_quote("one two", "two…one"));
    let text = "```error\none\n```\nprose\n```\nother\n```\n";
    assert_eq!(quotes(text), [(2, "one")]);
    assert_eq!(
        codes("pub const A: u32 = 100;\npub const B: u8 = 1;"),
        ["100"]
    );
}
