//! What Istio CNI's node agent does with a node's files. The real one is in no package registry.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The `type` of its entry.
const TYPE: &str = "istio-cni";

/// Istio CNI's part of a node.
#[derive(Clone, Debug)]
pub struct IstioCni {
    conf: PathBuf,
    binary: PathBuf,
}

impl IstioCni {
    /// Istio CNI with its entry in that list and its binary in that directory.
    pub fn of(conf: PathBuf, bin_dir: &Path) -> Self {
        let binary = bin_dir.join(TYPE);
        Self { conf, binary }
    }

    /// Its binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Copies the program, and writes the entry at the end of the list in place of an older one. Unknown
    /// fields of the list stay.
    pub fn install(&self, program: &Path) {
        let new = self.binary.with_extension("tmp");
        fs::copy(program, &new).expect("the program can be copied");
        fs::rename(new, &self.binary).expect("a file can be renamed");
        let mut list = self.list();
        let plugins = plugins_of(&mut list);
        remove_first(plugins);
        plugins.push(json!({"type": TYPE, "plugin_log_level": "info"}));
        self.write(&list);
    }

    /// Removes the first entry of its type, then the binary.
    pub fn uninstall(&self) {
        let mut list = self.list();
        remove_first(plugins_of(&mut list));
        self.write(&list);
        fs::remove_file(&self.binary).expect("the binary exists");
    }

    /// Whether the list names it.
    pub fn is_installed(&self) -> bool {
        plugins_of(&mut self.list()).iter().any(is_entry)
    }

    fn list(&self) -> Value {
        let text = fs::read(&self.conf).expect("the list exists");
        serde_json::from_slice(&text).expect("the list is JSON")
    }

    fn write(&self, list: &Value) {
        let new = self.conf.with_extension("tmp");
        fs::write(&new, format!("{list:#}")).expect("a file can be written");
        fs::rename(&new, &self.conf).expect("a file can be renamed");
    }
}

fn plugins_of(list: &mut Value) -> &mut Vec<Value> {
    list["plugins"].as_array_mut().expect("a list has plugins")
}

fn is_entry(plugin: &Value) -> bool {
    plugin["type"] == TYPE
}

fn remove_first(plugins: &mut Vec<Value>) {
    if let Some(first) = plugins.iter().position(is_entry) {
        plugins.remove(first);
    }
}
