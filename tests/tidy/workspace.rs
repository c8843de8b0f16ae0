//! The workspace as `cargo metadata` describes it: packages, their targets, their dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Packages that depend on every crate.
pub(crate) const UNPUBLISHED: [&str; 2] = ["mesh-cni-fuzz", "mesh-cni-tests"];

/// The part of `cargo metadata` that the rules need.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    #[serde(rename = "workspace_members")]
    ours: BTreeSet<String>,
    resolve: Resolve,
}

/// A package of this workspace or an external one.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// A dependency, as declared in the manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// A library, binary, test, bench or example.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Workspace {
    /// Runs `cargo metadata` for one platform, so that every machine gets the same result.
    pub(crate) fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(root())
            .output()
            .expect("cargo runs this test, so it can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`cargo metadata` failed: {stderr}");
        serde_json::from_slice(&output.stdout).expect("cargo describes its own format version")
    }

    /// Our packages, sorted by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let ours = |package: &&Package| self.ours.contains(&package.id);
        let mut members: Vec<_> = self.packages.iter().filter(ours).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// Our packages that are published: all but the tests and the fuzz targets.
    pub(crate) fn crates(&self) -> Vec<&Package> {
        let mut crates = self.members();
        crates.retain(|package| !UNPUBLISHED.contains(&package.name.as_str()));
        crates
    }

    /// All external packages that `name` is built from, without its dev-dependencies.
    pub(crate) fn external_closure(&self, name: &str) -> BTreeSet<&str> {
        let start = self.packages.iter().find(|package| package.name == name);
        let mut open = vec![
            start
                .expect("the rule names packages that exist")
                .id
                .as_str(),
        ];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.built_from(id));
            }
        }
        let external = |package: &&Package| {
            seen.contains(package.id.as_str()) && !self.ours.contains(&package.id)
        };
        self.packages
            .iter()
            .filter(external)
            .map(|package| package.name.as_str())
            .collect()
    }

    fn built_from<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let is_built = |dependency: &&NodeDependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind.as_deref() != Some("dev"))
        };
        let nodes = self.resolve.nodes.iter().filter(move |node| node.id == id);
        nodes.flat_map(move |node| {
            node.deps
                .iter()
                .filter(is_built)
                .map(|dependency| dependency.pkg.as_str())
        })
    }
}

impl Package {
    /// The folder of the manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path
            .parent()
            .expect("a manifest is in a folder")
    }
}

impl Target {
    /// Whether this is a `lib`, `bin`, `test`, `bench` or `example`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|own| own == kind)
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in the workspace")
}
