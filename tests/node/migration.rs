//! Migration from Istio CNI and back, step by step: whoever leaves first, pods can start and are
//! redirected by one of the two.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use mesh_cni_tests::{IstioCni, Process};
use serde_json::Value;

use crate::node::Node;

const LIST: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "k8s",
  "plugins": [{"type": "calico", "mtu": 0}, {"type": "portmap"}]
}
"#;

const FILE: &str = "10-calico.conflist";

const REPLACE: &[&str] = &["--replace-istio-cni"];
const RESTORE: &[&str] = &["--restore-istio-cni"];

const DEADLINE: Duration = Duration::from_secs(60);

/// How often Istio's agent looks at the list here. It reacts to changes within a second.
const INTERVAL: Duration = Duration::from_millis(200);

/// Istio's agent, which adds its entry again whenever it is missing.
struct RunningIstio {
    stop: Sender<()>,
    /// How often it has added the entry.
    thread: JoinHandle<usize>,
}

impl RunningIstio {
    fn start(istio: &IstioCni) -> Self {
        let istio = istio.clone();
        let (stop, stopped) = channel();
        let thread = spawn(move || {
            let mut times = 0;
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if !istio.is_installed() {
                    install(&istio);
                    times += 1;
                }
            }
            times
        });
        Self { stop, thread }
    }

    fn stop(self) -> usize {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

/// A node with Istio CNI.
fn with_istio() -> (Node, IstioCni) {
    let node = Node::with(&[(FILE, LIST)]);
    let istio = IstioCni::of(node.conf(FILE), &node.path().join("bin"));
    install(&istio);
    (node, istio)
}

/// Installs Istio CNI with a plugin that records its calls.
fn install(istio: &IstioCni) {
    istio.install(&istio.binary().with_file_name("calico"));
}

/// The plugins that redirect a new pod.
fn redirecting(node: &Node) -> Vec<String> {
    node.load();
    node.assert_every_file_loads();
    let mut called = node.add_pod();
    called.retain(|name| name == "mesh-cni" || name == "istio-cni");
    called
}

/// Nothing of either mesh is left.
fn assert_clean(node: &Node) {
    let list = node.load();
    let original: Value = serde_json::from_str(LIST).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(list.text()).unwrap(),
        original
    );
    for binary in ["mesh-cni", "istio-cni"] {
        assert!(!node.path().join("bin").join(binary).exists(), "{binary}");
    }
}

#[test]
fn istio_leaves_first() {
    let (node, istio) = with_istio();
    assert_eq!(redirecting(&node), ["istio-cni"]);
    node.must("install", REPLACE);
    assert_eq!(redirecting(&node), ["mesh-cni"]);
    // Istio's agent still runs, so both are in the list until ours replaces it again.
    install(&istio);
    assert_eq!(redirecting(&node), ["mesh-cni", "istio-cni"]);
    node.must("install", REPLACE);
    assert_eq!(redirecting(&node), ["mesh-cni"]);
    istio.uninstall();
    assert_eq!(redirecting(&node), ["mesh-cni"]);
    // There is nothing to go back to, and the node is not left waiting for an agent that is gone.
    let report = node.must("uninstall", &[RESTORE, &["--remove-binary"]].concat());
    assert!(
        report.contains("warning: istio-cni is not restored in"),
        "{report}"
    );
    assert_clean(&node);
    install(&istio);
    assert_eq!(redirecting(&node), ["istio-cni"]);
}

#[test]
fn both_run_and_ours_leaves_first() {
    let (node, istio) = with_istio();
    node.must("install", REPLACE);
    install(&istio);
    let report = node.must("uninstall", &[RESTORE, &["--remove-binary"]].concat());
    assert!(report.contains("names istio-cni already"), "{report}");
    assert_eq!(redirecting(&node), ["istio-cni"]);
    istio.uninstall();
    assert_clean(&node);
}

#[test]
fn ours_leaves_and_istio_was_only_stopped() {
    let (node, istio) = with_istio();
    node.must("install", REPLACE);
    node.must("uninstall", &[RESTORE, &["--remove-binary"]].concat());
    assert_eq!(redirecting(&node), ["istio-cni"]);
    // Its agent starts, and replaces the restored entry by its own.
    install(&istio);
    assert_eq!(redirecting(&node), ["istio-cni"]);
    istio.uninstall();
    assert_clean(&node);
}

#[test]
fn without_the_option_istio_keeps_its_own_entry() {
    let (node, istio) = with_istio();
    node.must("install", REPLACE);
    install(&istio);
    node.must("uninstall", &["--remove-binary"]);
    assert_eq!(redirecting(&node), ["istio-cni"]);
    istio.uninstall();
    assert_clean(&node);
}

#[test]
fn a_copy_leaves_istio_in_its_own_list() {
    let owned = [REPLACE, &["--mode", "owned-first"]].concat();
    let (node, istio) = with_istio();
    node.must("install", &owned);
    assert_eq!(redirecting(&node), ["mesh-cni"]);
    install(&istio);
    assert_eq!(redirecting(&node), ["mesh-cni"]);
    node.must("uninstall", &[RESTORE, &["--remove-binary"]].concat());
    assert_eq!(redirecting(&node), ["istio-cni"]);
    istio.uninstall();
    assert_clean(&node);
}

/// Our agent as a process.
struct Agent {
    process: Process,
    log: PathBuf,
}

impl Agent {
    fn start(node: &Node) -> Self {
        let flags = [
            "--node-name",
            "n",
            "--pod-source",
            "file",
            "--pod-dir",
            "/x",
        ];
        let mut words = node.agent("run", &[&flags[..], REPLACE].concat());
        words.extend(["--health-addr", "off", "--metrics-addr", "off"].map(str::to_owned));
        let log = node.path().join("agent.log");
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]);
        Self {
            process: Process::start(&command, &log),
            log,
        }
    }

    /// Waits until the log has this text for the given number of times.
    fn wait_for(&mut self, text: &str, times: usize) {
        let log = &self.log;
        let what = format!("has not logged `{text}` {times} times");
        self.process.wait_for(&what, DEADLINE, || {
            let log = fs::read_to_string(log).unwrap();
            (log.matches(text).count() >= times).then_some(())
        });
    }
}

const IN_PLACE: &str = "binary and entry are in place";

#[test]
fn in_an_overlap_our_agent_yields_until_istio_is_gone() {
    let (node, istio) = with_istio();
    let theirs = RunningIstio::start(&istio);
    let mut ours = Agent::start(&node);
    ours.wait_for("another program writes", 1);
    // During the pause, the list is Istio's.
    ours.process.wait_for("has not yielded", DEADLINE, || {
        istio.is_installed().then_some(())
    });
    assert!(redirecting(&node).contains(&"istio-cni".to_owned()));
    assert!(theirs.stop() >= 3, "each restoration of ours was undone");
    istio.uninstall();
    // Our agent notices at its next attempt, and the node is ready.
    let log = fs::read_to_string(&ours.log).unwrap();
    ours.wait_for(IN_PLACE, log.matches(IN_PLACE).count() + 1);
    assert_eq!(redirecting(&node), ["mesh-cni"]);
}

#[test]
fn in_an_overlap_ours_can_be_uninstalled_while_istio_runs() {
    let (node, istio) = with_istio();
    let theirs = RunningIstio::start(&istio);
    let mut ours = Agent::start(&node);
    ours.wait_for("mesh-cni replaces istio-cni", 2);
    drop(ours);
    node.must("uninstall", &[RESTORE, &["--remove-binary"]].concat());
    node.load();
    theirs.stop();
    if !istio.is_installed() {
        install(&istio);
    }
    assert_eq!(redirecting(&node), ["istio-cni"]);
    istio.uninstall();
    assert_clean(&node);
}
