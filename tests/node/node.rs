//! A node in a directory, the agent on it, and how two runtimes read its configuration.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_spec::ConfList;
use mesh_cni_tests::{Finished, cnitool, finish, mesh_cni_agent, write_script};
use tempfile::TempDir;

/// A plugin that records each ADD.
const PLUGIN: &str = r#"#!/bin/sh
cat >/dev/null
[ "$CNI_COMMAND" = ADD ] || exit 0
echo "${0##*/}" >>"${0%/*}/../calls"
echo '{"cniVersion": "0.4.0", "interfaces": [], "ips": [], "dns": {}}'
"#;

/// The network's name.
pub(crate) const NETWORK: &str = "k8s";

/// A node with the plugins that the tests' lists name.
#[derive(Debug)]
pub(crate) struct Node {
    root: TempDir,
}

impl Node {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let root = TempDir::new().unwrap();
        for directory in ["bin", "net.d", "cache", "account", "state"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        for name in ["token", "ca.crt"] {
            fs::write(root.path().join("account").join(name), name).unwrap();
        }
        for plugin in [
            "bin/bridge",
            "bin/calico",
            "bin/portmap",
            "bin/istio-cni",
            "bin/linkerd-cni",
            "bin/kuma-cni",
            "mesh-cni",
        ] {
            let path = root.path().join(plugin);
            write_script(&path, PLUGIN);
        }
        let node = Self { root };
        for peer in ["linkerd", "kuma"] {
            let path = node.conf(&format!("ZZZ-{peer}-cni-kubeconfig"));
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        for (name, text) in files {
            fs::write(node.conf(name), text).unwrap();
            fs::set_permissions(node.conf(name), Permissions::from_mode(0o640)).unwrap();
        }
        node
    }

    /// A copy of the node.
    pub(crate) fn copied(&self) -> Self {
        let root = TempDir::new().unwrap();
        let copied = finish(
            Command::new("cp")
                .args(["-a", "-T"])
                .arg(self.path())
                .arg(root.path()),
            "",
        );
        assert_eq!(copied.code, 0, "{}", copied.stderr);
        Self { root }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn conf(&self, name: &str) -> PathBuf {
        self.path().join("net.d").join(name)
    }

    /// The agent's command line on this node.
    pub(crate) fn agent(&self, command: &str, flags: &[&str]) -> Vec<String> {
        let own = |flag: &str, name: &str| {
            let path = self.path().join(name).to_string_lossy().into_owned();
            [flag.to_owned(), path]
        };
        let mut words = vec![
            mesh_cni_agent().to_string_lossy().into_owned(),
            command.to_owned(),
        ];
        words.extend(own("--cni-bin-dir", "bin"));
        words.extend(own("--cni-conf-dir", "net.d"));
        words.extend(own("--run-dir", "run"));
        if command != "uninstall" {
            words.extend(own("--plugin-binary", "mesh-cni"));
        }
        if command == "install" {
            words.extend(own("--service-account-dir", "account"));
        }
        if command == "uninstall" {
            words.extend(own("--cni-cache-dir", "cache"));
            words.extend(["--grace".to_owned(), "0".to_owned()]);
        }
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        words
    }

    pub(crate) fn run(&self, command: &str, flags: &[&str]) -> Finished {
        run_words(&self.agent(command, flags))
    }

    /// Runs the agent, which must succeed.
    pub(crate) fn must(&self, command: &str, flags: &[&str]) -> String {
        let finished = self.run(command, flags);
        assert_eq!(finished.code, 0, "{command} {flags:?}: {}", finished.stderr);
        finished.stdout
    }

    /// The list that a runtime loads which uses the first file in name order, as containerd does. Fails if
    /// it cannot be loaded, names a missing binary, or contains two entries of ours.
    pub(crate) fn load(&self) -> ConfList {
        let first = self
            .confs()
            .into_iter()
            .next()
            .expect("a runtime needs a network");
        let text = fs::read_to_string(&first).unwrap();
        let is_list = first.extension().is_some_and(|ending| ending == "conflist");
        let list = if is_list {
            ConfList::parse(&text)
        } else {
            ConfList::from_conf(&text)
        };
        let list = list.unwrap_or_else(|error| panic!("{}: {error}: {text}", first.display()));
        assert!(!list.plugins().is_empty(), "{text}");
        self.assert_binaries_exist(&list);
        list
    }

    /// Checks that every file of the directory can be loaded and names existing binaries.
    pub(crate) fn assert_every_file_loads(&self) {
        for path in self.confs() {
            let text = fs::read_to_string(&path).unwrap();
            if path.extension().is_some_and(|ending| ending == "conflist") {
                let list = ConfList::parse(&text);
                self.assert_binaries_exist(
                    &list.unwrap_or_else(|error| panic!("{}: {error}: {text}", path.display())),
                );
            }
        }
    }

    /// Adds a pod with the CNI project's library, drop-ins included, and returns the plugins that
    /// were called.
    ///
    /// `cnitool` stores results in `/var/lib/cni`; a directory of this test is mounted over it.
    pub(crate) fn add_pod(&self) -> Vec<String> {
        let calls = self.path().join("calls");
        let _ = fs::remove_file(&calls);
        let mut add = Command::new("unshare");
        add.args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$0\" /var/lib && exec \"$@\"")
            .arg(self.path().join("state"))
            .arg(cnitool())
            .args(["add", NETWORK, "/proc/self/ns/none"])
            .env("NETCONFPATH", self.path().join("net.d"))
            .env("CNI_PATH", self.path().join("bin"));
        let added = finish(&mut add, "");
        assert_eq!(added.code, 0, "{}{}", added.stdout, added.stderr);
        let calls = fs::read_to_string(calls).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// How often the plugin is called when a pod is added.
    pub(crate) fn calls_of_ours(&self) -> usize {
        self.add_pod()
            .iter()
            .filter(|name| *name == "mesh-cni")
            .count()
    }

    /// Whether the library of `cnitool` appends drop-ins. Version 1.3 and later does.
    pub(crate) fn appends_drop_ins() -> bool {
        let list = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}"#;
        let node = Self::with(&[("10-calico.conflist", list)]);
        fs::create_dir(node.conf(NETWORK)).unwrap();
        let drop_in = node.conf(NETWORK).join("50-portmap.conf");
        fs::write(drop_in, r#"{"type": "portmap"}"#).unwrap();
        node.add_pod().contains(&"portmap".to_owned())
    }

    /// Names, modes and contents of all files that the agent may change.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (u32, String)> {
        let mut files = BTreeMap::new();
        for directory in ["bin", "net.d", "run"] {
            visit(&self.path().join(directory), self.path(), &mut files);
        }
        files
    }

    fn confs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("net.d")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            matches!(ending, Some("conflist" | "conf" | "json")) && path.is_file()
        });
        paths.sort();
        paths
    }

    fn assert_binaries_exist(&self, list: &ConfList) {
        let types = list
            .plugins()
            .iter()
            .map(|plugin| plugin["type"].as_str().unwrap());
        let mut ours = 0;
        for name in types {
            let binary = self.path().join("bin").join(name);
            let mode = fs::metadata(&binary).map(|metadata| metadata.permissions().mode());
            assert!(
                mode.is_ok_and(|mode| mode & 0o111 != 0),
                "no {name}: {}",
                String::from_utf8_lossy(list.text())
            );
            ours += usize::from(name == "mesh-cni");
        }
        assert!(ours <= 1, "{}", String::from_utf8_lossy(list.text()));
    }
}

pub(crate) fn run_words(words: &[String]) -> Finished {
    let mut command = Command::new(&words[0]);
    finish(
        command
            .args(&words[1..])
            .env("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        "",
    )
}

fn visit(directory: &Path, root: &Path, files: &mut BTreeMap<PathBuf, (u32, String)>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        if path.is_dir() {
            files.insert(name, (mode, String::new()));
            visit(&path, root, files);
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        files.insert(name, (mode, text));
    }
}
