//! Paths of programs: those of this build, and others from `scripts/setup`.

use std::env;
use std::path::{Path, PathBuf};

/// The plugin of this build.
pub fn mesh_cni() -> PathBuf {
    sibling("mesh-cni")
}

/// The agent of this build.
pub fn mesh_cni_agent() -> PathBuf {
    sibling("mesh-cni-agent")
}

/// The directory with the programs of this build for an image, which are static.
pub fn static_programs() -> PathBuf {
    let plugin = mesh_cni();
    let profile = plugin.parent().expect("a program is in a directory");
    existing(profile.join("static/mesh-cni"))
        .parent()
        .expect("a program is in a directory")
        .to_owned()
}

/// The command line of this build.
pub fn mesh_cnictl() -> PathBuf {
    sibling("mesh-cnictl")
}

/// A service of the bookinfo sample.
pub fn bookinfo() -> PathBuf {
    sibling("bookinfo")
}

/// The substitute for Istio CNI on the test cluster.
pub fn istio_cni() -> PathBuf {
    sibling("istio-cni")
}

/// Envoy, which `scripts/setup cluster` downloads.
pub fn envoy() -> PathBuf {
    let named = env::var_os("ENVOY").map(PathBuf::from);
    existing(named.unwrap_or_else(|| repository().join(".cache/envoy/envoy")))
}

/// A program that answers datagrams, for a process of another user.
pub fn udp_echo() -> PathBuf {
    sibling("udp-echo")
}

/// ztunnel: the one that `ZTUNNEL` names, or else the substitute of this build.
pub fn ztunnel() -> PathBuf {
    let named = env::var_os("ZTUNNEL").map(PathBuf::from);
    named.map_or_else(|| sibling("ztunnel"), existing)
}

/// The CNI project's command-line runtime.
pub fn cnitool() -> PathBuf {
    let named = env::var_os("CNITOOL").map(PathBuf::from);
    existing(named.unwrap_or_else(|| repository().join(".cache/bin/cnitool")))
}

/// Helm, which `scripts/setup helm` builds.
pub fn helm() -> PathBuf {
    let named = env::var_os("HELM").map(PathBuf::from);
    existing(named.unwrap_or_else(|| repository().join(".cache/bin/helm")))
}

/// promtool, which checks rules of Prometheus; `scripts/setup promtool` installs it.
pub fn promtool() -> PathBuf {
    let named = env::var_os("PROMTOOL").map(PathBuf::from);
    existing(named.unwrap_or_else(|| repository().join(".cache/bin/promtool")))
}

/// containerd 2, which supports CNI 1.1; `scripts/setup` builds it.
pub fn newer_containerd() -> PathBuf {
    existing(repository().join(".cache/bin/containerd-2"))
}

/// CRI-O, which `scripts/setup` builds.
pub fn crio() -> PathBuf {
    existing(repository().join(".cache/bin/crio"))
}

/// CRI-O's program that keeps the namespaces of sandboxes; `scripts/setup` builds it.
pub fn pinns() -> PathBuf {
    existing(repository().join(".cache/bin/pinns"))
}

/// Multus's thin plugin; `scripts/setup` builds it.
pub fn multus() -> PathBuf {
    existing(repository().join(".cache/bin/multus"))
}

/// The directory of the CNI project's reference plugins.
pub fn reference_plugins() -> PathBuf {
    let named = env::var_os("CNI_REFERENCE_DIR").map(PathBuf::from);
    let directory = named.unwrap_or_else(|| PathBuf::from("/usr/lib/cni"));
    existing(directory.join("bridge"));
    directory
}

/// A program of a Kubernetes node, such as `kubelet`, which `scripts/cluster-binaries` builds.
pub fn cluster_binary(name: &str) -> PathBuf {
    let named = env::var_os("CLUSTER_BINARIES").map(PathBuf::from);
    let directory = named.unwrap_or_else(|| repository().join(".cache/cluster/current"));
    existing(directory.join(name))
}

/// A program of this build: cargo puts tests into `deps`, next to the programs.
fn sibling(name: &str) -> PathBuf {
    let own = env::current_exe().expect("a running program has a path");
    let mut directories = own.ancestors().skip(1).take(2);
    let found = directories.find_map(|directory| {
        let path = directory.join(name);
        path.is_file().then_some(path)
    });
    found.unwrap_or_else(|| panic!("no {name} next to {}: run `make test`", own.display()))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `make test` or `make cluster-test`",
        path.display()
    );
    path
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is in the repository")
}
