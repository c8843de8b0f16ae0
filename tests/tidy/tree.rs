//! The files of the repository, each with its path relative to the root of the workspace.

use std::fs;
use std::path::Path;

use crate::workspace::root;

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root of the workspace, with `/` as separator.
    pub(crate) path: String,
    /// The text; empty if the file is not UTF-8.
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }

    /// Whether this is a Rust file in the `src` folder of a published crate.
    pub(crate) fn is_crate_source(&self) -> bool {
        self.is_rust() && self.path.starts_with("crates/") && self.path.contains("/src/")
    }

    /// Each line with its number, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The same without doc comments, whose examples may do what code must not.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| {
            let line = line.trim_start();
            !line.starts_with("///") && !line.starts_with("//!")
        })
    }
}

/// Every file below the root, except build output and tools. Sorted by path.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect(root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file.
pub(crate) fn rust_files() -> Vec<File> {
    files().into_iter().filter(File::is_rust).collect()
}

fn collect(folder: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).expect("a folder of the workspace can be read");
    for entry in entries {
        let path = entry.expect("a folder of the workspace can be read").path();
        if path.is_dir() && !is_ignored(&path) {
            collect(&path, files);
        } else if path.is_file() {
            files.push(read(&path));
        }
    }
}

fn is_ignored(folder: &Path) -> bool {
    ["target", ".cache", ".git"]
        .iter()
        .any(|ignored| folder.ends_with(ignored))
}

fn read(path: &Path) -> File {
    let bytes = fs::read(path).expect("a file of the workspace can be read");
    let relative = path.strip_prefix(root()).expect("found below the root");
    File {
        path: relative.to_string_lossy().into_owned(),
        text: String::from_utf8(bytes).unwrap_or_default(),
    }
}
