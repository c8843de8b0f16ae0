//! The agent keeps the plugin installed, reports whether it is, and leaves it installed at its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::agent::{Agent, DEADLINE};

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// Creates a node in the agent's directory, and returns the flags.
fn node(directory: &Path) -> Vec<String> {
    for name in ["bin", "net.d"] {
        fs::create_dir(directory.join(name)).unwrap();
    }
    fs::write(directory.join("mesh-cni"), "the plugin").unwrap();
    fs::write(directory.join("net.d/10-calico.conflist"), CALICO).unwrap();
    let flag = |flag: &str, name: &str| {
        let path: PathBuf = directory.join(name);
        [flag.to_owned(), path.to_string_lossy().into_owned()]
    };
    [
        flag("--cni-bin-dir", "bin"),
        flag("--cni-conf-dir", "net.d"),
        flag("--plugin-binary", "mesh-cni"),
        flag("--pod-dir", "pods"),
        ["--pod-source".to_owned(), "file".to_owned()],
    ]
    .concat()
}

/// Waits until `/readyz` has that code and contains that text.
fn until(agent: &Agent, code: u16, text: &str) {
    until_response(agent, "/readyz", code, text);
}

/// Waits until the response for that path has that code and contains that text.
pub(crate) fn until_response(agent: &Agent, path: &str, code: u16, text: &str) {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = agent.get(path);
        if answer.code == code && answer.body.contains(text) {
            return;
        }
        assert!(Instant::now() < end, "no `{text}`: {}", answer.body);
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn until_ready(agent: &Agent) {
    until(agent, 200, "binary and entry are in place");
}

#[test]
fn it_restores_what_others_remove_and_leaves_everything_at_its_end() {
    let agent = Agent::start_on_node(node);
    let directory = agent.directory().to_owned();
    let list = directory.join("net.d/10-calico.conflist");
    let binary = directory.join("bin/mesh-cni");
    // The lines of the installation, so that the next ones are those of the repairs.
    agent.wait_for_line("10-calico.conflist: mesh-cni is its last plugin");
    until_ready(&agent);
    assert!(fs::read_to_string(&list).unwrap().contains("mesh-cni"));

    fs::write(&list, CALICO).unwrap();
    agent.wait_for_line("10-calico.conflist: mesh-cni is its last plugin");
    fs::remove_file(&binary).unwrap();
    agent.wait_for_line("bin/mesh-cni");
    until_ready(&agent);

    fs::remove_file(&list).unwrap();
    until(&agent, 503, "contains no network configuration");
    fs::write(&list, CALICO).unwrap();
    until_ready(&agent);

    let (status, directory) = agent.terminate();
    assert!(status.success());
    assert!(fs::read_to_string(&list).unwrap().contains("mesh-cni"));
    assert!(binary.exists());
    assert!(!directory.path().join("run/kubeconfig").exists());
}

#[test]
fn an_agent_restores_what_was_removed_while_none_ran() {
    let agent = Agent::start_on_node(node);
    until_ready(&agent);
    let (_, directory) = agent.terminate();
    fs::remove_file(directory.path().join("bin/mesh-cni")).unwrap();
    // A file that no runtime loads is passed over, with a warning.
    fs::write(directory.path().join("net.d/00-broken.conflist"), "{").unwrap();
    let next = Agent::start_in(directory, node_again);
    next.wait_for_line("net.d/00-broken.conflist, which runtimes do not load");
    next.wait_for_line("bin/mesh-cni");
    until_ready(&next);
    assert!(next.directory().join("bin/mesh-cni").exists());
    // Without another network, the reason has its position.
    fs::remove_file(next.directory().join("net.d/10-calico.conflist")).unwrap();
    until(&next, 503, "EOF while parsing an object at line 1 column 1");
}

/// Only the flags: the node exists.
fn node_again(directory: &Path) -> Vec<String> {
    let empty = tempfile::TempDir::new().unwrap();
    let flags = node(empty.path()).into_iter();
    let from = empty.path().to_string_lossy().into_owned();
    let to = directory.to_string_lossy().into_owned();
    flags.map(|flag| flag.replace(&from, &to)).collect()
}

#[test]
fn the_file_that_another_program_rewrites_is_reported() {
    let agent = Agent::start_on_node(node);
    let list = agent.directory().join("net.d/10-calico.conflist");
    // The installation, and the restores until another program is assumed.
    for _ in 0..4 {
        agent.wait_for_line("mesh-cni is its last plugin");
        assert_eq!(contests(&agent), 0);
        fs::write(&list, CALICO).unwrap();
    }
    let line = agent.wait_for_line("another program writes");
    assert!(line.contains("10-calico.conflist"), "{line}");
    assert_eq!(contests(&agent), 1);
    let (running, ticks) = channel::<()>();
    std::thread::scope(|scope| {
        let list = &list;
        scope.spawn(move || {
            let tick = Duration::from_millis(10);
            while ticks.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                fs::write(list, CALICO).unwrap();
            }
        });
        let reason = "another program writes";
        until(&agent, 503, reason);
        until_response(&agent, "/v1/status", 200, reason);
        drop(running);
    });
    until_ready(&agent);
}

/// How often the agent backed off.
fn contests(agent: &Agent) -> u32 {
    let metrics = agent.get("/metrics").body;
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("mesh_cni_contests_total "));
    count.unwrap().parse().unwrap()
}

/// A degraded agent stays ready; one whose entry the runtime does not reach is not ready.
#[test]
fn it_says_when_the_runtime_may_not_call_the_plugin() {
    let multus = format!(r#"{{"name": "m", "type": "multus", "delegates": [{CALICO}]}}"#);
    let agent = Agent::start_on_node(|directory| {
        let flags = node(directory).into_iter();
        let named = ["--cni-conf-name", "10-calico.conflist"].map(str::to_owned);
        flags.chain(named).collect()
    });
    until_ready(&agent);
    let directory = agent.directory().join("net.d");
    fs::write(directory.join("00-multus.conf"), &multus).unwrap();
    until(&agent, 503, "not redirecting: ");
    until(&agent, 503, "has a copy of network `k8s` without mesh-cni");
    fs::remove_file(directory.join("00-multus.conf")).unwrap();
    until_ready(&agent);

    let why = "degraded: plugin `calico` of ";
    until(&agent, 200, why);
    agent.wait_for_line(&format!("install: {why}"));
    until_response(&agent, "/v1/status", 200, why);
    fs::write(agent.directory().join("bin/calico"), "").unwrap();
    agent.wait_for_line("no longer degraded");
    assert!(!agent.get("/readyz").body.contains("degraded"));
}
