//! Rules for source files: the first line, the length, what they must not contain.

use std::fs;

use crate::tree::{File, files, rust_files};
use crate::violation::{Violation, assert_no_violations};
use crate::workspace::{Package, Target, Workspace, root};

/// The most lines that a source file of a crate may have.
const MOST_LINES: usize = 400;

/// The only crate with unsafe code.
const UNSAFE_CRATE: &str = "mesh-cni-netns";

/// The fuzzing engine's macro exports a function for C.
const FORBIDS_UNSAFE: &[&str] = &[
    "#![forbid(unsafe_code)]",
    "#![cfg_attr(not(fuzzing), forbid(unsafe_code))]",
];

/// Programs and tests, which may print.
const PROGRAMS: &[&str] = &[
    "crates/agent/",
    "crates/plugin/",
    "crates/cli/",
    "fuzz/",
    "tests/",
];

/// Marks of unfinished or disabled code. Split in two, since this file is checked too.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("#[", "ignore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

/// Marks of a conflict between two changes. A line of `=` also underlines headings.
const CONFLICT: &[&str] = &[concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];

const PRINTERS: &[&str] = &[
    concat!("print", "ln!"),
    concat!("eprint", "ln!"),
    concat!("print", "!("),
    concat!("eprint", "!("),
];

#[test]
fn each_file_begins_with_a_sentence() {
    let violations = rust_files()
        .into_iter()
        .filter_map(|file| opening_violation(&file));
    assert_no_violations("A file's first line says why the file exists.", violations);
}

#[test]
fn no_source_file_is_too_long() {
    let sources = rust_files().into_iter().filter(File::is_crate_source);
    let violations = sources.filter_map(|file| length_violation(&file));
    assert_no_violations("A file has one reason to exist.", violations);
}

#[test]
fn roots_forbid_unsafe_code() {
    let workspace = Workspace::load();
    let violations = workspace.members().into_iter().flat_map(unsafe_roots);
    assert_no_violations("Only mesh-cni-netns contains unsafe code.", violations);
}

#[test]
fn nothing_is_left_unfinished() {
    let written = files().into_iter().filter(|file| {
        let path = file.path.as_str();
        file.is_rust()
            || path.starts_with("scripts/")
            || path.starts_with(".ci/")
            || path == "Makefile"
    });
    let fix = "finish it, or open an issue and remove the mark";
    let violations = written.flat_map(|file| found(&file.path, file.lines(), UNFINISHED, fix));
    assert_no_violations(
        "Committed code is finished, and every test runs.",
        violations,
    );
}

#[test]
fn every_conflict_is_resolved() {
    let fix = "keep the right text, and remove the marks";
    let violations = files()
        .into_iter()
        .flat_map(|file| found(&file.path, file.lines(), CONFLICT, fix));
    assert_no_violations("Committed files have no marks of conflicts.", violations);
}

#[test]
fn no_snapshot_is_pending() {
    let pending = files().into_iter().filter(|file| {
        [".snap.new", ".pending-snap"]
            .iter()
            .any(|ending| file.path.ends_with(ending))
    });
    let fix = "read it, then accept or reject it: `cargo insta review`";
    let violations = pending.map(|file| Violation::new(file.path, "a pending snapshot", fix));
    assert_no_violations("A committed snapshot has been reviewed.", violations);
}

#[test]
fn only_programs_print() {
    let fix = "return the text to the caller: only the programs print";
    let libraries = rust_files()
        .into_iter()
        .filter(|file| !may_print(&file.path));
    let violations = libraries.flat_map(|file| found(&file.path, file.code_lines(), PRINTERS, fix));
    assert_no_violations("Libraries print nothing.", violations);
}

fn opening_violation(file: &File) -> Option<Violation> {
    let first = file.text.lines().next().unwrap_or_default();
    let Some(opening) = first.strip_prefix("//! ") else {
        let fix = "begin it with a `//!` sentence that says why the file exists";
        return Some(Violation::new(
            &file.path,
            format!("line 1 is `{first}`"),
            fix,
        ));
    };
    if opening == "Placeholder." {
        return Some(Violation::new(
            &file.path,
            "a placeholder",
            "write the file",
        ));
    }
    let paragraph = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//! "));
    let end = paragraph.last().unwrap_or_default();
    let ends = end.ends_with(['.', '?', '!', ':']);
    let fix = "end the first paragraph with a full stop";
    (!ends).then(|| {
        Violation::new(
            &file.path,
            format!("its first paragraph ends with `{end}`"),
            fix,
        )
    })
}

fn length_violation(file: &File) -> Option<Violation> {
    let lines = file.text.lines().count();
    let wrong = format!("{lines} lines; the limit is {MOST_LINES}");
    let fix = "split it by purpose";
    (lines > MOST_LINES).then(|| Violation::new(&file.path, wrong, fix))
}

fn unsafe_roots(package: &Package) -> Vec<Violation> {
    let targets = package.targets.iter();
    let roots = targets.filter(|target| target.is("lib") || target.is("bin"));
    let open = roots.filter(|target| package.name != UNSAFE_CRATE && !forbids_unsafe(target));
    let violation = |target: &Target| {
        let path = target
            .src_path
            .strip_prefix(root())
            .unwrap_or(&target.src_path);
        let wrong = "no `#![forbid(unsafe_code)]`";
        Violation::new(
            path.to_string_lossy(),
            wrong,
            "add it after the module documentation",
        )
    };
    open.map(violation).collect()
}

fn forbids_unsafe(target: &Target) -> bool {
    let text = fs::read_to_string(&target.src_path).unwrap_or_default();
    text.lines().any(|line| FORBIDS_UNSAFE.contains(&line))
}

fn may_print(path: &str) -> bool {
    PROGRAMS.iter().any(|program| path.starts_with(program))
        || ["/examples/", "/benches/", "/tests/"]
            .iter()
            .any(|folder| path.contains(folder))
}

/// Each of `lines` that contains one of `needles`.
fn found<'a>(
    path: &str,
    lines: impl Iterator<Item = (usize, &'a str)>,
    needles: &[&str],
    fix: &str,
) -> Vec<Violation> {
    let hits = lines.filter_map(|(number, line)| {
        let needle = needles.iter().find(|needle| line.contains(*needle))?;
        Some(Violation::new(
            format!("{path}:{number}"),
            format!("contains `{needle}`"),
            fix,
        ))
    });
    hits.collect()
}

#[test]
fn violations_are_reported() {
    let file = |text: String| File {
        path: "crates/x/src/a.rs".into(),
        text,
    };
    assert!(opening_violation(&file("use std::fs;\n".into())).is_some());
    assert!(opening_violation(&file("//! No end\n\n".into())).is_some());
    assert!(
        opening_violation(&file(
            "//! A sentence over\n//! two lines.\n\nuse a;".into()
        ))
        .is_none()
    );
    assert!(length_violation(&file("\n".repeat(MOST_LINES))).is_none());
    assert!(length_violation(&file("\n".repeat(MOST_LINES + 1))).is_some());
    let text = format!("/// {0}\nfn a() {{\n    {0}();\n", PRINTERS[0]);
    let places = |lines| {
        found("a.rs", lines, PRINTERS, "")
            .into_iter()
            .map(|hit| hit.place)
    };
    assert!(places(file(text).code_lines()).eq(["a.rs:3"]));
    assert!(may_print("crates/cli/src/main.rs") && !may_print("crates/rules/src/lib.rs"));
}
