//! The chart, rendered by Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_tests::{Finished, finish, helm};
use serde_json::Value;

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The chart's folder.
pub(crate) fn folder() -> PathBuf {
    repository().join("deploy/helm/mesh-cni")
}

/// Runs helm with these arguments and temporary cache directories.
pub(crate) fn run_helm(words: &[&str]) -> Finished {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm());
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.path());
    }
    finish(command.args(words), "")
}

/// Renders the chart with these values, such as `profile=istio`. Lists and objects are JSON.
pub(crate) fn try_render(options: &[&str]) -> Finished {
    try_render_for("1.34.0", options)
}

/// Renders the chart for a cluster of this Kubernetes version.
pub(crate) fn try_render_for(version: &str, options: &[&str]) -> Finished {
    try_render_with(&["--kube-version", version], options)
}

/// Renders the chart with these flags and these values.
pub(crate) fn try_render_with(flags: &[&str], options: &[&str]) -> Finished {
    let folder = folder();
    let mut words = vec!["template", "mesh-cni", folder.to_str().unwrap()];
    words.extend(["--namespace", "kube-system"]);
    words.extend(flags);
    for option in options {
        words.extend(["--set-json", option]);
    }
    run_helm(&words)
}

/// The rendered objects as text.
pub(crate) fn render(options: &[&str]) -> String {
    let rendered = try_render(options);
    assert_eq!(rendered.code, 0, "{options:?}: {}", rendered.stderr);
    rendered.stdout
}

/// The rendered objects.
pub(crate) fn objects(options: &[&str]) -> Vec<Value> {
    let objects: Vec<Option<Value>> = serde_saphyr::from_multiple(&render(options)).unwrap();
    objects.into_iter().flatten().collect()
}

/// The one object of that kind.
pub(crate) fn object(options: &[&str], kind: &str) -> Value {
    let mut found = objects(options)
        .into_iter()
        .filter(|object| object["kind"] == kind);
    let first = found.next();
    assert!(found.next().is_none(), "more than one {kind}");
    first.unwrap_or_else(|| panic!("no {kind}"))
}
