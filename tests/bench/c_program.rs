//! Static C programs of the benchmarks, compiled when they start.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiled program, in a directory that is removed with this value.
#[derive(Debug)]
pub(crate) struct CProgram {
    directory: tempfile::TempDir,
}

impl CProgram {
    /// Compiles `tests/bench/NAME.c`.
    pub(crate) fn compile(name: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let program = Self { directory };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("bench/{name}.c"));
        let status = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o"])
            .args([&program.path(), &source])
            .args(flags)
            .status()
            .expect("Rust needs `cc` too");
        assert!(status.success(), "cc refused {}", source.display());
        program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("program")
    }
}
