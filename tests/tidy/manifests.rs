//! What each crate brings along: the shared manifest fields, a README, a changelog, tests that run.

use std::fs;
use std::path::Path;

use crate::breach::{Breach, assert_lawful};
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
];

/// The feature that builds the tests that need root.
const ROOT_FEATURE: &str = "root-tests";

#[test]
fn manifests_inherit_what_the_workspace_says() {
    let workspace = Workspace::load();
    let breaches = workspace.crates().into_iter().flat_map(|package| {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap_or_default();
        missing_lines(&package.name, &manifest)
    });
    assert_lawful(
        "What all crates share is written once, in the root manifest.",
        breaches,
    );
}

#[test]
fn crates_have_a_readme_and_a_changelog() {
    let workspace = Workspace::load();
    let breaches = workspace.crates().into_iter().flat_map(|package| {
        let name = &package.name;
        let folder = package.folder();
        let readme = lacking(name, folder, "README.md", &format!("# {name}\n"));
        let changelog = lacking(name, folder, "CHANGELOG.md", "## [Unreleased]");
        readme.into_iter().chain(changelog)
    });
    assert_lawful("Each crate can be met alone, by a stranger.", breaches);
}

#[test]
fn library_crates_have_an_example() {
    let workspace = Workspace::load();
    let breaches = workspace.crates().into_iter().filter_map(|package| {
        let has = |kind: &str| package.targets.iter().any(|target| target.is(kind));
        let lacks = has("lib") && !has("bin") && !has("example");
        let mend = "add a short runnable one in its folder `examples`";
        lacks.then(|| Breach::new(&package.name, "a library without an example", mend))
    });
    assert_lawful("A library shows its use in a program that runs.", breaches);
}

#[test]
fn test_targets_are_built_by_a_target_of_make() {
    let workspace = Workspace::load();
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile can be read");
    let members = workspace.members().into_iter();
    let breaches = members.flat_map(|package| unbuilt_tests(package, &makefile));
    assert_lawful("No test is skipped in silence.", breaches);
}

fn missing_lines(name: &str, manifest: &str) -> Vec<Breach> {
    let missing = MANIFEST_LINES
        .iter()
        .filter(|line| !manifest.contains(*line));
    missing
        .map(|line| {
            Breach::new(
                name,
                format!("no `{}`", line.escape_debug()),
                "add the line",
            )
        })
        .collect()
}

fn lacking(name: &str, folder: &Path, file: &str, needed: &str) -> Option<Breach> {
    let needed = needed.trim_end();
    match fs::read_to_string(folder.join(file)) {
        Err(_) => Some(Breach::new(name, format!("no {file}"), "write it")),
        Ok(text) if text.lines().any(|line| line == needed) => None,
        Ok(_) => {
            let wrong = format!("{file} without the line `{needed}`");
            Some(Breach::new(name, wrong, "add the heading"))
        }
    }
}

fn unbuilt_tests(package: &Package, makefile: &str) -> Vec<Breach> {
    let default = package
        .features
        .get("default")
        .map_or(&[][..], Vec::as_slice);
    let on = |feature: &str| {
        default.iter().any(|on| on == feature) || turns_on(makefile, &package.name, feature)
    };
    let tests = package.targets.iter().filter(|target| target.is("test"));
    let off = tests.flat_map(|target| {
        let off = target
            .required_features
            .iter()
            .filter(|feature| !on(feature));
        off.map(|feature| (&target.name, feature))
    });
    let breach = |(test, feature)| {
        let wrong = format!("`make` leaves out its test `{test}`, which needs `{feature}`");
        let mend = "turn the feature on in the Makefile: TEST_FEATURES, ROOT_TEST_PACKAGES or \
                    CLUSTER_TEST_FEATURES";
        Breach::new(&package.name, wrong, mend)
    };
    off.map(breach).collect()
}

/// Do the variables of the Makefile turn this feature of this package on?
fn turns_on(makefile: &str, package: &str, feature: &str) -> bool {
    let names = |variable: &str, wanted: &str| {
        let line = makefile.lines().find(|line| line.starts_with(variable));
        line.is_some_and(|line| line.split([' ', ',']).any(|word| word == wanted))
    };
    match feature {
        ROOT_FEATURE => names("ROOT_TEST_PACKAGES", package),
        _ => ["TEST_FEATURES", "CLUSTER_TEST_FEATURES"]
            .iter()
            .any(|variable| names(variable, &format!("{package}/{feature}"))),
    }
}

#[test]
fn a_missing_line_is_seen() {
    let manifest = MANIFEST_LINES
        .join("\n")
        .replace("license.workspace = true\n", "");
    let breaches = missing_lines("it", &manifest);
    assert_eq!(
        breaches,
        [Breach::new(
            "it",
            "no `license.workspace = true`",
            "add the line"
        )]
    );
}

#[test]
fn a_feature_that_is_off_is_seen() {
    let makefile = "TEST_FEATURES ?= a/x,b/y\nROOT_TEST_PACKAGES ?= a c\n";
    assert!(turns_on(makefile, "b", "y") && turns_on(makefile, "c", ROOT_FEATURE));
    assert!(!turns_on(makefile, "a", "y") && !turns_on(makefile, "b", ROOT_FEATURE));
}
