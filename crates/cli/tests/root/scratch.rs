//! A test's network namespace, and `init` in it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::machine::{mesh_cnictl, output, stderr, stdout};

/// A network namespace that is removed with the test.
pub(crate) struct Scratch(Child);

impl Scratch {
    pub(crate) fn new() -> Self {
        let mut pause = mesh_cnictl(&["demo-process", "pause"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(pause.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Self(pause)
    }

    pub(crate) fn with_addresses(addresses: &[&str]) -> Self {
        let scratch = Self::new();
        scratch.inside(&["ip", "link", "set", "lo", "up"]);
        for address in addresses {
            scratch.inside(&["ip", "address", "add", address, "dev", "lo"]);
        }
        scratch
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    pub(crate) fn inside(&self, command: &[&str]) -> String {
        let pid = self.0.id().to_string();
        let mut nsenter = Command::new("nsenter");
        let ended = output(nsenter.args(["-t", &pid, "-n"]).args(command));
        assert!(ended.status.success(), "{command:?}: {}", stderr(&ended));
        stdout(&ended)
    }

    /// Runs `init` with these flags; returns the exit code, stdout and stderr.
    pub(crate) fn init(&self, flags: &[&str]) -> (Option<i32>, String, String) {
        self.run("--network-namespace", flags)
    }

    /// Runs `init --mesh linkerd` with these flags.
    pub(crate) fn init_linkerd(&self, flags: &[&str]) -> (Option<i32>, String, String) {
        self.run("--netns", &[&["--mesh", "linkerd"], flags].concat())
    }

    fn run(&self, namespace: &str, flags: &[&str]) -> (Option<i32>, String, String) {
        let path = self.path();
        let arguments = [&["init", namespace, &path], flags].concat();
        let ended = output(mesh_cnictl(&arguments).env_remove("DRY_RUN"));
        (ended.status.code(), stdout(&ended), stderr(&ended))
    }

    /// Runs `init`, which must succeed without messages; returns stdout.
    pub(crate) fn done(&self, flags: &[&str]) -> String {
        let (code, stdout, stderr) = self.init(flags);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{flags:?}");
        stdout
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}
