//! A system that has no more watches to give: the agent looks for itself, and says so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::node::Node;

const LIST: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}
"#;

const DEADLINE: Duration = Duration::from_secs(30);

/// The running agent in a user namespace of its own, in which nobody may have watches.
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
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(tell.send(line));
            }
        });
        Self { child, lines }
    }

    fn said(&self, text: &str) {
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
fn without_watches_the_directories_are_looked_at() {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    let agent = Agent::without_watches(&node);
    agent.said("no watches");
    agent.said("binary and entry are in place");
    // Each time the agent rests, so that only a look of its own shows it the change.
    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    agent.said("holds no network configuration");
    fs::write(node.conf("10-calico.conflist"), LIST).unwrap();
    agent.said("mesh-cni is its last plugin");
    agent.said("binary and entry are in place");
    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    agent.said("holds no network configuration");
}
