//! A network namespace for a test, which exists as long as a child process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A namespace that contains only the interface `lo`; requires root.
pub(crate) struct Namespace(Child);

impl Namespace {
    /// Creates the namespace and waits for it.
    pub(crate) fn new() -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "sh", "-c", "echo ready; read end"]);
        let mut child = unshare
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(
            line, "ready\n",
            "cannot create a network namespace (this requires root)"
        );
        Self(child)
    }

    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}
