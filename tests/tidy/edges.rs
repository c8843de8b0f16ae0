//! The allowed dependencies: between our crates, and from the pure crates to other packages.

use std::collections::BTreeSet;

use crate::violation::{Violation, assert_no_violations};
use crate::workspace::{Package, UNPUBLISHED, Workspace};

/// Each crate and the crates of this workspace that it depends on. Its tests may use more.
const EDGES: &[(&str, &[&str])] = &[
    ("mesh-cni-text", &[]),
    ("mesh-cni-spec", &["mesh-cni-text"]),
    ("mesh-cni-selector", &["mesh-cni-text"]),
    ("mesh-cni-netfilter", &["mesh-cni-text"]),
    (
        "mesh-cni-rules",
        &["mesh-cni-netfilter", "mesh-cni-selector"],
    ),
    (
        "mesh-cni-agent-api",
        &["mesh-cni-selector", "mesh-cni-text"],
    ),
    ("mesh-cni-zds", &["mesh-cni-text"]),
    ("mesh-cni-nftables", &["mesh-cni-netfilter"]),
    (
        "mesh-cni-netns",
        &["mesh-cni-netfilter", "mesh-cni-nftables", "mesh-cni-rules"],
    ),
    (
        "mesh-cni-plan",
        &["mesh-cni-netfilter", "mesh-cni-rules", "mesh-cni-selector"],
    ),
    (
        "mesh-cni-plugin",
        &[
            "mesh-cni-agent-api",
            "mesh-cni-netfilter",
            "mesh-cni-netns",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-spec",
            "mesh-cni-text",
        ],
    ),
    ("mesh-cni-installer", &["mesh-cni-plan", "mesh-cni-spec"]),
    ("mesh-cni-kube", &["mesh-cni-selector", "mesh-cni-text"]),
    (
        "mesh-cni-agent",
        &[
            "mesh-cni-agent-api",
            "mesh-cni-installer",
            "mesh-cni-kube",
            "mesh-cni-netfilter",
            "mesh-cni-netns",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-text",
            "mesh-cni-zds",
        ],
    ),
    (
        "mesh-cni-cli",
        &[
            "mesh-cni-agent-api",
            "mesh-cni-installer",
            "mesh-cni-kube",
            "mesh-cni-netfilter",
            "mesh-cni-netns",
            "mesh-cni-nftables",
            "mesh-cni-plan",
            "mesh-cni-rules",
            "mesh-cni-selector",
            "mesh-cni-spec",
            "mesh-cni-text",
        ],
    ),
];

/// Each pure crate and all other packages that it is built from, transitive ones included.
const CLOSURES: &[(&str, &[&[&str]])] = &[
    ("mesh-cni-text", &[]),
    (
        "mesh-cni-spec",
        &[DERIVE, ERRORS, JSON, SERDE, &["ipnetwork"]],
    ),
    ("mesh-cni-selector", &[DERIVE, ERRORS, JSON, SERDE, YAML]),
    (
        "mesh-cni-agent-api",
        &[DERIVE, ERRORS, JSON, SERDE, SOCKETS, YAML, &["httparse"]],
    ),
    ("mesh-cni-zds", &[DERIVE, ERRORS]),
    (
        "mesh-cni-netfilter",
        &[DERIVE, ERRORS, JSON, &["ipnetwork"]],
    ),
    (
        "mesh-cni-rules",
        &[DERIVE, ERRORS, JSON, SERDE, YAML, &["ipnetwork", "strsim"]],
    ),
    ("mesh-cni-nftables", &[DERIVE, ERRORS, JSON, &["ipnetwork"]]),
    (
        "mesh-cni-plan",
        &[
            DERIVE,
            ERRORS,
            JSON,
            SERDE,
            YAML,
            &["ipnetwork", "serde_path_to_error", "strsim"],
        ],
    ),
];

/// Dependencies of derive macros; none of them is in the binary.
const DERIVE: &[&str] = &["proc-macro2", "quote", "syn", "unicode-ident"];

const ERRORS: &[&str] = &["thiserror", "thiserror-impl"];

const SERDE: &[&str] = &["serde", "serde_derive"];

/// System calls, for the one client of the agent.
const SOCKETS: &[&str] = &["bitflags", "errno", "libc", "linux-raw-sys", "rustix"];

/// `serde_json` with the feature that preserves the order of keys.
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

/// `serde-saphyr`, for pod manifests. `base64` and `nohash-hasher` come from features that `kube`
/// enables for the agent: cargo unifies features across a workspace.
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
fn crates_depend_only_on_the_crates_in_the_list() {
    let workspace = Workspace::load();
    let crates = workspace.crates();
    let mut violations = unlisted(&crates);
    for (name, wanted) in EDGES {
        let Some(package) = crates.iter().find(|package| package.name == *name) else {
            violations.push(Violation::new(
                *name,
                "listed, but no such crate exists",
                "remove it from EDGES",
            ));
            continue;
        };
        violations.extend(differences(name, &siblings(package), wanted, "EDGES"));
    }
    assert_no_violations(
        "Dependencies between crates are those that ARCHITECTURE.md shows.",
        violations,
    );
}

#[test]
fn nothing_depends_on_the_tests() {
    let workspace = Workspace::load();
    let members = workspace.members();
    let dependent = members.iter().filter(|package| {
        package
            .dependencies
            .iter()
            .any(|dependency| UNPUBLISHED.contains(&dependency.name.as_str()))
    });
    let violation = |package: &&Package| {
        let fix = "move what it needs into a crate";
        let wrong = format!("depends on one of {UNPUBLISHED:?}");
        Violation::new(&package.name, wrong, fix)
    };
    assert_no_violations(
        "The tests and fuzz targets depend on every crate; no crate depends on them.",
        dependent.map(violation),
    );
}

#[test]
fn pure_crates_are_built_only_from_the_packages_in_the_list() {
    let workspace = Workspace::load();
    let violations = CLOSURES.iter().flat_map(|(name, wanted)| {
        differences(
            name,
            &workspace.external_closure(name),
            &wanted.concat(),
            "CLOSURES",
        )
    });
    assert_no_violations(
        "A pure crate does no I/O, directly or through a dependency.",
        violations,
    );
}

fn unlisted(crates: &[&Package]) -> Vec<Violation> {
    let listed: BTreeSet<_> = EDGES.iter().map(|(name, _)| *name).collect();
    let unlisted = crates
        .iter()
        .filter(|package| !listed.contains(package.name.as_str()));
    let fix = "add it to EDGES in tests/tidy/edges.rs and to ARCHITECTURE.md";
    unlisted
        .map(|package| Violation::new(&package.name, "a crate that is not listed", fix))
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

fn differences(name: &str, found: &BTreeSet<&str>, wanted: &[&str], list: &str) -> Vec<Violation> {
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    let added = found.difference(&wanted).map(|other| {
        let fix = format!(
            "remove the dependency, or justify it and add it to {list} in tests/tidy/edges.rs"
        );
        Violation::new(
            name,
            format!("depends on `{other}`, which is not listed"),
            fix,
        )
    });
    let gone = wanted.difference(found).map(|other| {
        let fix = format!("remove it from {list} in tests/tidy/edges.rs");
        Violation::new(
            name,
            format!("does not depend on `{other}`, which is listed"),
            fix,
        )
    });
    added.chain(gone).collect()
}

#[test]
fn differences_in_both_directions_are_reported() {
    let found = BTreeSet::from(["kept", "new"]);
    let violations = differences("it", &found, &["kept", "old"], "LIST");
    assert_eq!(violations.len(), 2);
    assert!(violations[0].wrong.contains("`new`") && violations[1].wrong.contains("`old`"));
}
