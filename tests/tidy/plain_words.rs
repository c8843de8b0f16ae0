//! Plain English: words and phrases that sources and documents must not contain.

use crate::tree::{File, files};
use crate::violation::{Violation, assert_no_violations};

/// Phrases that made earlier texts hard to read, each with plain alternatives.
///
/// They match whole words, in upper or lower case.
const BANNED: &[(&str, &str)] = &[
    ("ailment", "problem"),
    ("ailments", "problems"),
    ("anew", "again; recreate"),
    ("are told", "receive; are reported"),
    ("bear with", "accept"),
    ("bears with", "accepts"),
    ("broken off", "aborted"),
    ("comes to nothing", "fails"),
    ("doors", "programs"),
    ("errand", "task"),
    ("hands", "passes; kernel access"),
    ("is told", "receives; is reported"),
    ("is let", "may"),
    ("lays down", "specifies"),
    ("let have", "allow"),
    ("made anew", "recreated"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mends", "fixes"),
    ("nobody is asked", "no lookup is made"),
    ("nought", "zero"),
    ("patience", "deadline; backoff"),
    ("proofs", "tests"),
    ("says no more", "no further details"),
    ("standing", "live; existing"),
    ("stands", "is applied; exists; is"),
    ("stood", "was applied; existed; was"),
    ("told apart", "distinguished"),
    ("traveller", "packet"),
    ("whence", "from where"),
    ("without a word", "with no output"),
    ("is no boolean", "is not a boolean"),
    ("is no directory", "is not a directory"),
    ("is no file", "is not a file"),
    ("is no json", "is not JSON"),
    ("is no list", "is not a list"),
    ("is no name", "is not a valid name"),
    ("is no number", "is not a number"),
    ("is no packet", "is not a packet"),
    ("is no port", "is not a port"),
    ("is no range", "is not a range"),
    ("is no text", "is not text"),
    ("is no version", "is not a version"),
];

/// A file, a phrase that it may contain, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "crates/cli/CHANGELOG.md",
    "ailments",
    "the old name of a JSON key",
)];

/// This file, which contains all of them.
const SELF: &str = "tests/tidy/plain_words.rs";

#[test]
fn sources_and_documents_are_in_plain_english() {
    let files = files();
    let written = files.iter().filter(|file| is_written(&file.path));
    let violations: Vec<_> = written.flat_map(banned_phrases).collect();
    assert_no_violations("Texts are in plain English.", violations);
}

#[test]
fn every_exception_is_needed() {
    let files = files();
    let unused = EXCEPTIONS.iter().filter(|(path, phrase, _)| {
        let file = files.iter().find(|file| file.path == *path);
        !file.is_some_and(|file| file.lines().any(|(_, line)| contains(line, phrase)))
    });
    let violations = unused.map(|(path, phrase, _)| {
        let fix = format!("remove it from EXCEPTIONS in {SELF}");
        Violation::new(*path, format!("does not contain `{phrase}`"), fix)
    });
    assert_no_violations("Exceptions are as few as possible.", violations);
}

/// Whether a person wrote the file for people: code, documents, snapshots, charts, scripts.
fn is_written(path: &str) -> bool {
    let extensions = [".rs", ".md", ".snap", ".toml", ".yaml", ".tpl", ".txt"];
    let folders = ["scripts/", ".ci/", "Makefile"];
    path != SELF
        && (extensions.iter().any(|ending| path.ends_with(ending))
            || folders.iter().any(|folder| path.starts_with(folder)))
}

fn banned_phrases(file: &File) -> Vec<Violation> {
    let allowed = |phrase: &str| {
        let mut exceptions = EXCEPTIONS.iter();
        exceptions.any(|(path, excepted, _)| *path == file.path && *excepted == phrase)
    };
    let found = file.lines().flat_map(|(number, line)| {
        let line = line.to_lowercase();
        let banned = BANNED
            .iter()
            .filter(move |(phrase, _)| contains(&line, phrase));
        banned.map(move |(phrase, plain)| (number, *phrase, *plain))
    });
    found
        .filter(|(_, phrase, _)| !allowed(phrase))
        .map(|(number, phrase, plain)| {
            Violation::new(
                format!("{}:{number}", file.path),
                format!("contains `{phrase}`"),
                format!("write it plainly, for example: {plain}"),
            )
        })
        .collect()
}

/// Whether the line, in lower case, contains the phrase as whole words.
///
/// `_` separates words, so names of functions and types in snake case are checked too.
fn contains(line: &str, phrase: &str) -> bool {
    let line = line.replace('_', " ");
    let is_letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    line.match_indices(phrase).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + phrase.len()..]);
        !is_letter(before.chars().next_back()) && !is_letter(after.chars().next())
    })
}

#[test]
fn whole_words_are_found_in_any_spelling() {
    let file = |text: &str| File {
        path: "a.md".into(),
        text: text.into(),
    };
    let count = |text: &str| banned_phrases(&file(text)).len();
    assert_eq!(count("fine\nWhence it came\n"), 1);
    assert_eq!(count("fn a_port_that_stands_alone() {}"), 1);
    assert_eq!(count("mode stand-alone understands standards"), 0);
    assert_eq!(count("`x` is no port: mend it"), 2);
}
