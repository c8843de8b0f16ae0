//! The running agent is killed at each system call that restores what another program changed:
//! runtimes can load the list, and the next agent completes the work.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::node::Node;

const LIST: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}
"#;

/// Calls that mostly the installing thread makes. Calls that open and write files are covered by
/// the kill points of `install`, which does the same work.
const CALLS: &[&str] = &[
    "?rename,?renameat,?renameat2",
    "?unlink,?unlinkat",
    "?link,?linkat,?symlink,?symlinkat",
    "?chmod,fchmod,fchmodat",
    "fsync,fdatasync",
    "ftruncate,?copy_file_range,?sendfile",
];

/// The agent does not need an API server.
const SOURCE: &[&str] = &["--pod-source", "file", "--pod-dir", "/nonexistent"];

/// A number of calls that is never reached.
const NEVER: usize = 1_000;

/// A node with an older plugin, whose list was just rewritten without our entry.
fn undone() -> Node {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    node.must("install", SOURCE);
    fs::write(node.conf("10-calico.conflist"), LIST).unwrap();
    fs::write(node.path().join("bin/mesh-cni"), "an older plugin").unwrap();
    node
}

/// Starts the agent and returns whether it was killed when it made one of these calls for the given
/// time. If not, it became ready first, and is stopped.
fn killed(node: &Node, calls: &str, time: usize) -> bool {
    let log = node.path().join("strace");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:signal=KILL:when={time}")])
        .args(node.agent("run", SOURCE))
        .args(["--node-name", "n"])
        .args(["--health-addr", "off", "--metrics-addr", "off"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    let ready = lines.any(|line| line.contains("binary and entry are in place"));
    end(&mut child);
    !ready
}

/// The agent and its tracer.
fn end(child: &mut Child) {
    let group = Pid::from_raw(child.id().try_into().unwrap());
    // Both may have ended already.
    killpg(group, Signal::SIGTERM).unwrap_or_default();
    child.wait().unwrap();
}

#[test]
fn a_running_agent_can_be_killed_at_every_call_that_restores_a_file() {
    let mut points = 0;
    for calls in CALLS {
        for time in 1.. {
            let node = undone();
            if !killed(&node, calls, time) {
                break;
            }
            println!("killed at {calls} {time}");
            node.load();
            node.assert_every_file_loads();
            assert!(!killed(&node, calls, NEVER), "the next one is not ready");
            let again = node.must("install", &[SOURCE, &["--output", "json"]].concat());
            assert!(again.starts_with("{\"steps\":[],"), "{again}");
            points += 1;
        }
    }
    assert!(
        points >= 8,
        "two files are written, synced and renamed: {points}"
    );
}
