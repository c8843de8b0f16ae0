//! A network namespace of its own for a test, held by a child and gone with it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A namespace without any interface but `lo`; needs root.
pub(crate) struct Namespace(Child);

impl Namespace {
    /// Makes it, and waits until it is there.
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "echo ready; read end"]);
        let mut child = holder
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
            "a network namespace could be made (this needs root)"
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
