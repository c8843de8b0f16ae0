//! A system without free inotify watches: the agent polls the directories, and logs that.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::node::Node;

const LIST: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}
"#;

const DEADLINE: Duration = Duration::from_secs(30);

/// A running agent in its own user namespace, where no inotify instance is allowed.
struct Agent {
    child: Child,
    lines: Receiver<String>,
}

impl Agent {
    fn without_watches(node: &Node) -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "sh", "-ec"])
            .arg("echo 0 >/proc/sys/user/max_inotify_instances; exec \"$0\" \"$@\"")
            .args(node.agent("run", &["--node-name", "n", "--pod-source", "file"]))
            .args(["--pod-dir", "/nonexistent"])
            .args(["--health-addr", "off", "--metrics-addr", "off"])
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        Self { child, lines }
    }

    fn wait_for_line(&self, text: &str) {
        let end = Instant::now() + DEADLINE;
        let mut before = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => before.push(line),
                Err(error) => panic!("{error}: no `{text}`, but {before:#?}"),
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn without_watches_the_directories_are_polled() {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    let agent = Agent::without_watches(&node);
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
