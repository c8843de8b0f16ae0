//! What documents quote: a message in the handbook is one that a program really says.

use std::path::Path;

use crate::breach::{Breach, assert_lawful};
use crate::tree::{File, files};

/// The documents that quote messages, in blocks whose first line is one of [`KINDS`].
const QUOTING: &[&str] = &["docs/troubleshooting.md"];

/// What a block quotes: an error, a decision, and what two programs print.
const KINDS: &[&str] = &["```error", "```select", "```verify", "```install"];

/// What differs from case to case.
const ANYTHING: char = '…';

/// Where the plugin's own codes are, and where they are explained.
const CODES: [&str; 2] = ["crates/plugin/src/error.rs", "docs/errors.md"];

#[test]
fn documents_quote_what_programs_say() {
    let files = files();
    let snapshots = files.iter().filter(|file| is_snapshot(file));
    let said: Vec<_> = snapshots.flat_map(|file| file.text.lines()).collect();
    let quoting = QUOTING.iter().map(|path| found(&files, path));
    let breaches = quoting.flat_map(|file| {
        let mut quotes = quotes(&file.text);
        quotes.retain(|(_, quote)| !said.iter().any(|line| says(line, quote)));
        let breach = |(number, quote): (usize, &str)| {
            Breach::new(
                format!("{}:{number}", file.path),
                format!("no snapshot of a test has `{quote}`"),
                "quote what the program says now; `…` stands for what differs from case to case",
            )
        };
        quotes.into_iter().map(breach).collect::<Vec<_>>()
    });
    assert_lawful("Documents quote what programs say.", breaches);
}

#[test]
fn every_code_of_our_own_is_explained() {
    let files = files();
    let [source, document] = CODES.map(|path| found(&files, path));
    let mut codes = codes(&source.text);
    assert!(!codes.is_empty(), "{} declares no code", source.path);
    codes.retain(|code| !document.text.contains(&format!("| {code} |")));
    let breaches = codes.into_iter().map(|code| {
        Breach::new(
            document.path.clone(),
            format!("code {code} has no row"),
            format!("say when {} answers it, and what to do", source.path),
        )
    });
    assert_lawful("Every code of our own is explained.", breaches);
}

fn is_snapshot(file: &File) -> bool {
    let extension = Path::new(&file.path).extension();
    extension.is_some_and(|extension| extension == "snap")
}

fn found<'files>(files: &'files [File], path: &str) -> &'files File {
    let file = files.iter().find(|file| file.path == path);
    file.expect("a file that a law names is there")
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

/// Whether the line has the pieces of the quotation in their order.
fn says(line: &str, quote: &str) -> bool {
    let mut rest = Some(line);
    for piece in quote.split(ANYTHING) {
        rest = rest
            .and_then(|rest| rest.split_once(piece))
            .map(|(_, rest)| rest);
    }
    rest.is_some()
}

#[test]
fn a_quotation_may_leave_out_and_not_change() {
    assert!(says("  7 pod a/b: wrong, mend it", "pod …: wrong"));
    assert!(!says("  7 pod a/b: wrong, mend it", "pod …: broken"));
    assert!(!says("one two", "two…one"));
    let text = "```error\none\n```\nprose\n```\nother\n```\n";
    assert_eq!(quotes(text), [(2, "one")]);
    assert_eq!(
        codes("pub const A: u32 = 100;\npub const B: u8 = 1;"),
        ["100"]
    );
}
