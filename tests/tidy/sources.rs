//! How a source file looks: its first line, its length, what it may not contain.

use std::fs;

use crate::breach::{Breach, assert_lawful};
use crate::tree::{File, files, rust_files};
use crate::workspace::{Package, Target, Workspace, root};

/// Above this a file has more than one reason to exist.
const MOST_LINES: usize = 400;

/// The crate that holds all the unsafe code there is.
const UNSAFE_CRATE: &str = "mesh-cni-netns";

/// Where people are met, and where text may be printed.
const DOORS: &[&str] = &[
    "crates/plugin/",
    "crates/installer/",
    "crates/cli/",
    "tests/",
];

/// What is unfinished or switched off. In halves, since this file is read too.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("#[", "ignore"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
];

const PRINTERS: &[&str] = &[
    concat!("print", "ln!"),
    concat!("eprint", "ln!"),
    concat!("print", "!("),
    concat!("eprint", "!("),
];

#[test]
fn each_file_opens_with_a_sentence() {
    let breaches = rust_files()
        .into_iter()
        .filter_map(|file| opening_breach(&file));
    assert_lawful("A file's first line says why the file exists.", breaches);
}

#[test]
fn no_source_of_a_crate_is_too_long() {
    let sources = rust_files().into_iter().filter(File::is_crate_source);
    let breaches = sources.filter_map(|file| length_breach(&file));
    assert_lawful("A file has one reason to exist.", breaches);
}

#[test]
fn roots_forbid_unsafe_code() {
    let workspace = Workspace::load();
    let breaches = workspace.members().into_iter().flat_map(unsafe_roots);
    assert_lawful("All unsafe code is in mesh-cni-netns.", breaches);
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
    let mend = "finish it, or open an issue and take the mark out";
    let breaches = written.flat_map(|file| found(&file.path, file.lines(), UNFINISHED, mend));
    assert_lawful(
        "What is in the tree is finished, and every test runs.",
        breaches,
    );
}

#[test]
fn no_snapshot_waits_for_its_review() {
    let pending = files().into_iter().filter(|file| {
        [".snap.new", ".pending-snap"]
            .iter()
            .any(|ending| file.path.ends_with(ending))
    });
    let mend = "read it, then accept or reject it: `cargo insta review`";
    let breaches = pending.map(|file| Breach::new(file.path, "a pending snapshot", mend));
    assert_lawful("A snapshot in the tree was read by a person.", breaches);
}

#[test]
fn only_the_doors_print() {
    let mend = "return the text to the caller: plugin, installer and cli print";
    let rooms = rust_files()
        .into_iter()
        .filter(|file| !may_print(&file.path));
    let breaches = rooms.flat_map(|file| found(&file.path, file.code_lines(), PRINTERS, mend));
    assert_lawful("Nothing is printed outside a door.", breaches);
}

fn opening_breach(file: &File) -> Option<Breach> {
    let first = file.text.lines().next().unwrap_or_default();
    let Some(opening) = first.strip_prefix("//! ") else {
        let mend = "open it with a `//!` sentence that says why the file exists";
        return Some(Breach::new(
            &file.path,
            format!("line 1 is `{first}`"),
            mend,
        ));
    };
    if opening == "Placeholder." {
        return Some(Breach::new(&file.path, "a placeholder", "write the file"));
    }
    let paragraph = file
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//! "));
    let end = paragraph.last().unwrap_or_default();
    let ends = end.ends_with(['.', '?', '!', ':']);
    let mend = "end the first paragraph as a sentence ends";
    (!ends).then(|| Breach::new(&file.path, format!("it opens with `{end}`"), mend))
}

fn length_breach(file: &File) -> Option<Breach> {
    let lines = file.text.lines().count();
    let wrong = format!("{lines} lines, at most {MOST_LINES} are allowed");
    let mend = "find its second reason to exist and give that a file";
    (lines > MOST_LINES).then(|| Breach::new(&file.path, wrong, mend))
}

fn unsafe_roots(package: &Package) -> Vec<Breach> {
    let targets = package.targets.iter();
    let roots = targets.filter(|target| target.is("lib") || target.is("bin"));
    let open = roots.filter(|target| package.name != UNSAFE_CRATE && !forbids_unsafe(target));
    let breach = |target: &Target| {
        let path = target
            .src_path
            .strip_prefix(root())
            .unwrap_or(&target.src_path);
        let wrong = "no `#![forbid(unsafe_code)]`";
        Breach::new(
            path.to_string_lossy(),
            wrong,
            "add it below the opening comment",
        )
    };
    open.map(breach).collect()
}

fn forbids_unsafe(target: &Target) -> bool {
    let text = fs::read_to_string(&target.src_path).unwrap_or_default();
    text.lines().any(|line| line == "#![forbid(unsafe_code)]")
}

fn may_print(path: &str) -> bool {
    DOORS.iter().any(|door| path.starts_with(door))
        || ["/examples/", "/benches/", "/tests/"]
            .iter()
            .any(|folder| path.contains(folder))
}

/// Every one of `lines` that holds one of `needles`.
fn found<'a>(
    path: &str,
    lines: impl Iterator<Item = (usize, &'a str)>,
    needles: &[&str],
    mend: &str,
) -> Vec<Breach> {
    let hits = lines.filter_map(|(number, line)| {
        let needle = needles.iter().find(|needle| line.contains(*needle))?;
        Some(Breach::new(
            format!("{path}:{number}"),
            format!("holds `{needle}`"),
            mend,
        ))
    });
    hits.collect()
}

#[test]
fn a_breach_is_seen() {
    let file = |text: String| File {
        path: "crates/x/src/a.rs".into(),
        text,
    };
    assert!(opening_breach(&file("use std::fs;\n".into())).is_some());
    assert!(opening_breach(&file("//! No end\n\n".into())).is_some());
    assert!(
        opening_breach(&file(
            "//! A sentence over\n//! two lines.\n\nuse a;".into()
        ))
        .is_none()
    );
    assert!(length_breach(&file("\n".repeat(MOST_LINES))).is_none());
    assert!(length_breach(&file("\n".repeat(MOST_LINES + 1))).is_some());
    let text = format!("/// {0}\nfn a() {{\n    {0}();\n", PRINTERS[0]);
    let places = |lines| {
        found("a.rs", lines, PRINTERS, "")
            .into_iter()
            .map(|hit| hit.place)
    };
    assert!(places(file(text).code_lines()).eq(["a.rs:3"]));
    assert!(may_print("crates/cli/src/main.rs") && !may_print("crates/rules/src/lib.rs"));
}
