//! A node in a temporary directory, and the network that a runtime loads from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mesh_cni_installer::{NodePaths, Settings};
use mesh_cni_spec::ConfList;
use tempfile::TempDir;

use crate::fixture::settings;

/// Content of the plugin binary.
pub(crate) const PLUGIN: &str = "the plugin";

/// A node with the binaries that the tests' lists name.
pub(crate) struct Node {
    root: TempDir,
    pub(crate) paths: NodePaths,
}

impl Node {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let paths = NodePaths {
            bin_dir: root.path().join("bin"),
            conf_dir: root.path().join("net.d"),
            run_dir: root.path().join("run"),
            cache_dir: root.path().join("cache"),
            host_root: "/".into(),
        };
        for directory in [&paths.bin_dir, &paths.conf_dir, &paths.cache_dir] {
            fs::create_dir(directory).unwrap();
        }
        for plugin in ["bridge", "calico", "portmap"] {
            fs::write(paths.bin_dir.join(plugin), plugin).unwrap();
        }
        fs::write(root.path().join("mesh-cni"), PLUGIN).unwrap();
        Self { root, paths }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let node = Self::new();
        for (name, text) in files {
            fs::write(node.conf(name), text).unwrap();
        }
        node
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = settings();
        settings.paths = self.paths.clone();
        settings.plugin_binary = self.plugin_binary();
        settings.account_dir = self.root.path().join("account");
        settings
    }

    pub(crate) fn plugin_binary(&self) -> PathBuf {
        self.root.path().join("mesh-cni")
    }

    pub(crate) fn conf(&self, name: &str) -> PathBuf {
        self.paths.conf_dir.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.conf(name)).unwrap()
    }

    /// Every file of both directories, sorted, with mode and content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let directories = [&self.paths.bin_dir, &self.paths.conf_dir];
        let entries = directories
            .iter()
            .flat_map(|directory| fs::read_dir(directory).unwrap());
        let mut files: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let mode = mode(&path);
                let content = fs::read(&path).unwrap();
                (path, mode, content)
            })
            .collect();
        files.sort();
        files
    }

    /// The list that a runtime loads, from the first file by name. Panics if it is invalid or names a
    /// plugin without a binary.
    pub(crate) fn load(&self) -> ConfList {
        loop {
            let (path, text) = self.first();
            let list = parsed(&path, &text);
            let absent = self.absent(&list);
            if absent.is_empty() {
                return list;
            }
            // The file may have changed since it was read; if it is unchanged, the binary is missing.
            assert_ne!(self.first(), (path, text), "{absent:?} are missing");
        }
    }

    /// The first file by name. If it was removed since the directory was listed, tries again, as
    /// runtimes do.
    fn first(&self) -> (PathBuf, String) {
        loop {
            let entries = fs::read_dir(&self.paths.conf_dir).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| {
                let ending = path.extension().and_then(|ending| ending.to_str());
                matches!(ending, Some("conflist" | "conf" | "json"))
            });
            paths.sort();
            let first = paths.first().expect("a runtime needs a network");
            match fs::read_to_string(first) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                text => return (first.clone(), text.unwrap()),
            }
        }
    }

    fn absent(&self, list: &ConfList) -> Vec<PathBuf> {
        let types = list
            .plugins()
            .iter()
            .map(|plugin| plugin["type"].as_str().unwrap());
        let binaries = types.map(|name| self.paths.bin_dir.join(name));
        binaries.filter(|binary| !binary.exists()).collect()
    }
}

fn parsed(path: &Path, text: &str) -> ConfList {
    let is_list = path.extension().is_some_and(|ending| ending == "conflist");
    let list = if is_list {
        ConfList::parse(text)
    } else {
        ConfList::from_conf(text)
    };
    let list = list.unwrap_or_else(|error| panic!("{}: {error}: `{text}`", path.display()));
    assert!(!list.plugins().is_empty());
    let ours = list
        .plugins()
        .iter()
        .filter(|plugin| plugin["type"] == "mesh-cni");
    assert!(ours.count() <= 1, "{text}");
    list
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
