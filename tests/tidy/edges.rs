//! Which way the dependencies point: between our crates, and out of the pure ones.

use std::collections::BTreeSet;

use crate::breach::{Breach, assert_lawful};
use crate::workspace::{Package, Workspace};

/// Each crate, and what it stands on among its siblings. Tests may use more.
const EDGES: &[(&str, &[&str])] = &[
    ("mesh-cni-spec", &[]),
    ("mesh-cni-selector", &[]),
    ("mesh-cni-rules", &[]),
    ("mesh-cni-agent-api", &["mesh-cni-selector"]),
    ("mesh-cni-nftables", &["mesh-cni-rules"]),
    ("mesh-cni-netns", &["mesh-cni-nftables", "mesh-cni-rules"]),
    ("mesh-cni-plan", &["mesh-cni-rules", "mesh-cni-selector"]),
    (
        "mesh-cni-plugin",
        &[
            "mesh-cni-netns",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-spec",
        ],
    ),
    (
        "mesh-cni-installer",
        &[
            "mesh-cni-netns",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-spec",
        ],
    ),
    (
        "mesh-cni-cli",
        &[
            "mesh-cni-installer",
            "mesh-cni-netns",
            "mesh-cni-nftables",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-spec",
        ],
    ),
];

/// Each pure crate, and the packages of others that it is built from, directly or not.
const CLOSURES: &[(&str, &[&[&str]])] = &[
    (
        "mesh-cni-spec",
        &[DERIVE, ERRORS, JSON, SERDE, &["ipnetwork"]],
    ),
    ("mesh-cni-selector", &[DERIVE, ERRORS, JSON, SERDE, YAML]),
    (
        "mesh-cni-agent-api",
        &[DERIVE, ERRORS, JSON, SERDE, YAML, &["httparse"]],
    ),
    ("mesh-cni-rules", &[DERIVE, ERRORS, JSON, &["ipnetwork"]]),
    ("mesh-cni-nftables", &[DERIVE, ERRORS, JSON, &["ipnetwork"]]),
    (
        "mesh-cni-plan",
        &[
            DERIVE,
            ERRORS,
            JSON,
            SERDE,
            YAML,
            &["ipnetwork", "serde_path_to_error"],
        ],
    ),
];

/// What derive macros are made of; none of it is in the binary.
const DERIVE: &[&str] = &["proc-macro2", "quote", "syn", "unicode-ident"];

const ERRORS: &[&str] = &["thiserror", "thiserror-impl"];

const SERDE: &[&str] = &["serde", "serde_derive"];

/// `serde_json`, which keeps the order of keys.
const JSON: &[&str] = &[
    "equivalent",
    "foldhash",
    "hashbrown",
    "indexmap",
    "itoa",
    "memchr",
    "serde_core",
    "serde_json",
    "zmij",
];

/// `serde-saphyr`, for manifests of pods. `base64` and `nohash-hasher` come in by features that
/// `kube` turns on for the agent: cargo unites the features of a workspace.
const YAML: &[&str] = &[
    "annotate-snippets",
    "anstyle",
    "arraydeque",
    "autocfg",
    "base64",
    "cfg-if",
    "core_detect",
    "encoding_rs",
    "encoding_rs_io",
    "granit-parser",
    "multiversion_no_op",
    "nohash-hasher",
    "num-traits",
    "rustversion",
    "scopeguard",
    "serde-saphyr",
    "simdutf8",
    "smallvec",
    "unicode-width",
];

#[test]
fn crates_stand_on_the_siblings_that_the_list_names() {
    let workspace = Workspace::load();
    let crates = workspace.crates();
    let mut breaches = unlisted(&crates);
    for (name, wanted) in EDGES {
        let Some(package) = crates.iter().find(|package| package.name == *name) else {
            breaches.push(Breach::new(
                *name,
                "listed, but no such crate",
                "take it out of EDGES",
            ));
            continue;
        };
        breaches.extend(differences(name, &siblings(package), wanted, "EDGES"));
    }
    assert_lawful(
        "Crates depend on each other one way, as ARCHITECTURE.md draws it.",
        breaches,
    );
}

#[test]
fn nothing_stands_on_the_proofs() {
    let workspace = Workspace::load();
    let members = workspace.members();
    let leaning = members.iter().filter(|package| {
        package
            .dependencies
            .iter()
            .any(|dependency| dependency.name == "mesh-cni-tests")
    });
    let breach = |package: &&Package| {
        let mend = "move what it needs from there into a crate";
        Breach::new(&package.name, "depends on mesh-cni-tests", mend)
    };
    assert_lawful(
        "The proofs see everything; nothing sees them.",
        leaning.map(breach),
    );
}

#[test]
fn pure_crates_are_built_from_the_packages_that_the_list_names() {
    let workspace = Workspace::load();
    let breaches = CLOSURES.iter().flat_map(|(name, wanted)| {
        differences(
            name,
            &workspace.external_closure(name),
            &wanted.concat(),
            "CLOSURES",
        )
    });
    assert_lawful("A pure crate reaches no I/O, however far below.", breaches);
}

fn unlisted(crates: &[&Package]) -> Vec<Breach> {
    let listed: BTreeSet<_> = EDGES.iter().map(|(name, _)| *name).collect();
    let unlisted = crates
        .iter()
        .filter(|package| !listed.contains(package.name.as_str()));
    let mend = "give it a row in EDGES of tests/tidy/edges.rs, and a place in ARCHITECTURE.md";
    unlisted
        .map(|package| Breach::new(&package.name, "a crate without a row", mend))
        .collect()
}

fn siblings(package: &Package) -> BTreeSet<&str> {
    let dependencies = package.dependencies.iter();
    let built = dependencies.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
    built
        .map(|dependency| dependency.name.as_str())
        .filter(|name| name.starts_with("mesh-cni-"))
        .collect()
}

fn differences(name: &str, found: &BTreeSet<&str>, wanted: &[&str], list: &str) -> Vec<Breach> {
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    let added = found.difference(&wanted).map(|other| {
        let mend =
            format!("do without, or argue for it and add it to {list} of tests/tidy/edges.rs");
        Breach::new(
            name,
            format!("stands on `{other}`, which its row does not name"),
            mend,
        )
    });
    let gone = wanted.difference(found).map(|other| {
        let mend = format!("take it out of {list} of tests/tidy/edges.rs");
        Breach::new(
            name,
            format!("does not stand on `{other}`, which its row names"),
            mend,
        )
    });
    added.chain(gone).collect()
}

#[test]
fn a_difference_is_seen_both_ways() {
    let found = BTreeSet::from(["kept", "new"]);
    let breaches = differences("it", &found, &["kept", "old"], "LIST");
    assert_eq!(breaches.len(), 2);
    assert!(breaches[0].wrong.contains("`new`") && breaches[1].wrong.contains("`old`"));
}
