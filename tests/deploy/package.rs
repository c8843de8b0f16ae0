//! The package of the chart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_tests::finish;

use crate::chart::{render, repository, run_helm};

/// Packs the chart with a umask, and returns the package.
fn pack(folder: &Path, umask: &str) -> PathBuf {
    let mut command = Command::new("bash");
    command.args(["-c", "umask $0 && exec \"$@\"", umask]);
    command.arg(repository().join("scripts/chart")).arg(folder);
    let packed = finish(&mut command, "");
    assert_eq!(packed.code, 0, "{}", packed.stderr);
    packed.stdout.trim_end().into()
}

#[test]
fn the_package_has_the_chart_s_version_and_always_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [("one", "077"), ("other", "022")]
        .map(|(name, umask)| pack(&folder.path().join(name), umask));
    assert_eq!(one.file_name().unwrap(), "mesh-cni-0.1.0.tgz");
    assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
}

#[test]
fn the_package_renders_what_the_folder_renders() {
    let folder = tempfile::tempdir().unwrap();
    let package = pack(folder.path(), "022");
    let package = package.to_str().unwrap();
    let words = ["--namespace=kube-system", "--kube-version=1.34.0"];
    let monitoring = [
        "prometheusRule.enabled=true",
        "grafanaDashboard.enabled=true",
    ];
    let mut template = vec!["template", "mesh-cni", package];
    template.extend(words);
    template.extend(monitoring.iter().flat_map(|value| ["--set-json", *value]));
    assert_eq!(run_helm(&template).stdout, render(&monitoring));
    let readme = run_helm(&["show", "readme", package]).stdout;
    assert!(readme.contains("| `cniBinDir` |"), "{readme}");
}
