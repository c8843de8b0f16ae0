//! What each crate must have: the shared manifest fields, a README, a changelog, tests that run.

use std::fs;
use std::path::Path;

use crate::violation::{Violation, assert_no_violations};
use crate::workspace::{Package, Workspace, root};

/// The lines of every published crate's manifest. Categories and keywords may be its own.
const MANIFEST_LINES: &[&str] = &[
    "authors.workspace = true",
    "edition.workspace = true",
    "license.workspace = true",
    "readme = \"README.md\"",
    "repository.workspace = true",
    "rust-version.workspace = true",
    "[lints]\nworkspace = true",
    "[package.metadata.docs.rs]",
];

/// Either of these lists the files of the package; the second is for crates whose tests need the repository.
const INCLUDE_LINES: &[&str] = &["include.workspace = true", "include = ["];

/// The feature that builds the tests that need root.
const ROOT_FEATURE: &str = "root-tests";

#[test]
fn manifests_inherit_the_workspace_fields() {
    let workspace = Workspace::load();
    let violations = workspace.crates().into_iter().flat_map(|package| {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap_or_default();
        missing_lines(&package.name, &manifest)
    });
    assert_no_violations(
        "Fields that all crates share are written once, in the root manifest.",
        violations,
    );
}

#[test]
fn crates_have_a_readme_and_a_changelog() {
    let workspace = Workspace::load();
    let violations = workspace.crates().into_iter().flat_map(|package| {
        let name = &package.name;
        let folder = package.folder();
        let readme = lacking(name, folder, "README.md", &format!("# {name}\n"));
        let changelog = lacking(name, folder, "CHANGELOG.md", "## [Unreleased]");
        readme.into_iter().chain(changelog)
    });
    assert_no_violations("Each crate is documented on its own.", violations);
}

#[test]
fn library_crates_have_an_example() {
    let workspace = Workspace::load();
    let violations = workspace.crates().into_iter().filter_map(|package| {
        let has = |kind: &str| package.targets.iter().any(|target| target.is(kind));
        let lacks = has("lib") && !has("bin") && !has("example");
        let fix = "add a short runnable one in its folder `examples`";
        lacks.then(|| Violation::new(&package.name, "a library without an example", fix))
    });
    assert_no_violations("A library has a runnable example.", violations);
}

#[test]
fn make_runs_every_test_target() {
    let workspace = Workspace::load();
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile can be read");
    let members = workspace.members().into_iter();
    let violations = members.flat_map(|package| unbuilt_tests(package, &makefile));
    assert_no_violations("No test is silently skipped.", violations);
}

#[test]
fn packages_contain_the_license() {
    let license = fs::read(root().join("LICENSE")).expect("the repository has a LICENSE");
    let workspace = Workspace::load();
    let violations = workspace.crates().into_iter().filter_map(|package| {
        let own = fs::read(package.folder().join("LICENSE")).ok();
        let fix = "link it: `ln -s ../../LICENSE LICENSE`";
        (own.as_ref() != Some(&license))
            .then(|| Violation::new(&package.name, "no LICENSE, or another text", fix))
    });
    assert_no_violations("Each published package contains the license.", violations);
}

fn missing_lines(name: &str, manifest: &str) -> Vec<Violation> {
    let lists_files = INCLUDE_LINES
        .iter()
        .any(|line| manifest.contains(&format!("\n{line}")));
    MANIFEST_LINES
        .iter()
        .filter(|line| !manifest.contains(*line))
        .chain(INCLUDE_LINES.first().filter(|_| !lists_files))
        .map(|line| {
            Violation::new(
                name,
                format!("no `{}`", line.escape_debug()),
                "add the line",
            )
        })
        .collect()
}

fn lacking(name: &str, folder: &Path, file: &str, needed: &str) -> Option<Violation> {
    let needed = needed.trim_end();
    match fs::read_to_string(folder.join(file)) {
        Err(_) => Some(Violation::new(name, format!("no {file}"), "write it")),
        Ok(text) if text.lines().any(|line| line == needed) => None,
        Ok(_) => {
            let wrong = format!("{file} does not contain the line `{needed}`");
            Some(Violation::new(name, wrong, "add the heading"))
        }
    }
}

fn unbuilt_tests(package: &Package, makefile: &str) -> Vec<Violation> {
    let default = package
        .features
        .get("default")
        .map_or(&[][..], Vec::as_slice);
    let on = |feature: &str| {
        default.iter().any(|on| on == feature) || enables(makefile, &package.name, feature)
    };
    let tests = package.targets.iter().filter(|target| target.is("test"));
    let off = tests.flat_map(|target| {
        let off = target
            .required_features
            .iter()
            .filter(|feature| !on(feature));
        off.map(|feature| (&target.name, feature))
    });
    let violation = |(test, feature)| {
        let wrong = format!("no target of `make` runs its test `{test}`, which needs `{feature}`");
        let fix = "enable the feature in the Makefile: TEST_FEATURES, ROOT_TEST_PACKAGES or \
                    MACHINE_TEST_FEATURES";
        Violation::new(&package.name, wrong, fix)
    };
    off.map(violation).collect()
}

/// Whether the variables of the Makefile enable this feature of this package.
fn enables(makefile: &str, package: &str, feature: &str) -> bool {
    let names = |variable: &str, wanted: &str| {
        let line = makefile.lines().find(|line| line.starts_with(variable));
        line.is_some_and(|line| line.split([' ', ',']).any(|word| word == wanted))
    };
    match feature {
        ROOT_FEATURE => names("ROOT_TEST_PACKAGES", package),
        _ => ["TEST_FEATURES", "MACHINE_TEST_FEATURES"]
            .iter()
            .any(|variable| names(variable, &format!("{package}/{feature}"))),
    }
}

#[test]
fn missing_lines_are_reported() {
    let complete = MANIFEST_LINES.join("\n") + "\ninclude = [\"/src\"]\n";
    assert_eq!(missing_lines("it", &complete), []);
    for line in ["license.workspace = true", "include"] {
        let violations = missing_lines("it", &complete.replace(line, ""));
        assert_eq!(violations.len(), 1);
        assert!(violations[0].wrong.starts_with(&format!("no `{line}")));
    }
}

#[test]
fn a_disabled_feature_is_reported() {
    let makefile = "TEST_FEATURES ?= a/x,b/y\nROOT_TEST_PACKAGES ?= a c\n";
    assert!(enables(makefile, "b", "y") && enables(makefile, "c", ROOT_FEATURE));
    assert!(!enables(makefile, "a", "y") && !enables(makefile, "b", ROOT_FEATURE));
}
