//! A system without free inotify watches: the agent polls the directories, and logs that.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mesh_cni_tests::Process;
use tempfile::TempDir;

use crate::node::Node;

const LIST: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}
"#;

const DEADLINE: Duration = Duration::from_secs(30);

/// A running agent in its own user namespace, where no inotify instance is allowed.
struct Agent {
    process: Process,
    log: PathBuf,
    /// The number of lines that earlier waits have read.
    lines: usize,
    _directory: TempDir,
}

impl Agent {
    fn without_watches(node: &Node) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("agent.log");
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "sh", "-ec"])
            .arg("echo 0 >/proc/sys/user/max_inotify_instances; exec \"$0\" \"$@\"")
            .args(node.agent("run", &["--node-name", "n", "--pod-source", "file"]))
            .args(["--pod-dir", "/nonexistent"])
            .args(["--health-addr", "off", "--metrics-addr", "off"]);
        Self {
            process: Process::start(&command, &log),
            log,
            lines: 0,
            _directory: directory,
        }
    }

    /// Waits for a line with the text after those of earlier waits.
    fn wait_for_line(&mut self, text: &str) {
        let (log, lines) = (&self.log, self.lines);
        let what = format!("has not logged `{text}`");
        self.lines = self.process.wait_for(&what, DEADLINE, || {
            let log = fs::read_to_string(log).unwrap();
            let found = log.lines().skip(lines).position(|line| line.contains(text));
            Some(lines + found? + 1)
        });
    }
}

#[test]
fn without_watches_the_directories_are_polled() {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    let mut agent = Agent::without_watches(&node);
    agent.wait_for_line("no watches");
    agent.wait_for_line("binary and entry are in place");
    // The agent is idle, so only polling can discover the change.
    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    agent.wait_for_line("contains no network configuration");
    fs::write(node.conf("10-calico.conflist"), LIST).unwrap();
    agent.wait_for_line("mesh-cni is its last plugin");
    agent.wait_for_line("binary and entry are in place");
    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    agent.wait_for_line("contains no network configuration");
}
