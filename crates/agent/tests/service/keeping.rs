//! The agent as a process keeps the plugin in place, says whether it is, and leaves it in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::agent::{Agent, DEADLINE};

const CALICO: &str = r#"{"name": "k8s", "plugins": [{"type": "calico"}]}"#;

/// A node in the agent's directory.
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

/// Waits until the agent answers with that code and these words when it is asked whether it is
/// ready.
fn until(agent: &Agent, code: u16, words: &str) {
    answers(agent, "/readyz", code, words);
}

/// Waits until the agent answers so when it is asked for that path.
fn answers(agent: &Agent, path: &str, code: u16, words: &str) {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = agent.get(path);
        if answer.code == code && answer.body.contains(words) {
            return;
        }
        assert!(Instant::now() < end, "no `{words}`: {}", answer.body);
        std::thread::yield_now();
    }
}

pub(crate) fn until_ready(agent: &Agent) {
    until(agent, 200, "binary and entry are in place");
}

#[test]
fn it_puts_back_what_others_undo_and_leaves_everything_when_it_ends() {
    let agent = Agent::start_on_node(node);
    let directory = agent.directory().to_owned();
    let list = directory.join("net.d/10-calico.conflist");
    let binary = directory.join("bin/mesh-cni");
    until_ready(&agent);
    assert!(fs::read_to_string(&list).unwrap().contains("mesh-cni"));

    fs::write(&list, CALICO).unwrap();
    agent.said("10-calico.conflist: mesh-cni is its last plugin");
    fs::remove_file(&binary).unwrap();
    agent.said("bin/mesh-cni");
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
fn a_killed_agent_is_followed_by_one_that_mends() {
    let agent = Agent::start_on_node(node);
    until_ready(&agent);
    let (_, directory) = agent.terminate();
    fs::remove_file(directory.path().join("bin/mesh-cni")).unwrap();
    // A network that cannot be worked on must not keep the orphaned entry from its binary.
    fs::write(directory.path().join("net.d/00-broken.conflist"), "{").unwrap();
    let next = Agent::start_in(directory, node_again);
    next.said("bin/mesh-cni");
    until(&next, 503, "00-broken.conflist");
    assert!(next.directory().join("bin/mesh-cni").exists());
    fs::remove_file(next.directory().join("net.d/00-broken.conflist")).unwrap();
    until_ready(&next);
}

/// The flags alone: everything is there.
fn node_again(directory: &Path) -> Vec<String> {
    let empty = tempfile::TempDir::new().unwrap();
    let words = node(empty.path()).into_iter();
    let from = empty.path().to_string_lossy().into_owned();
    let to = directory.to_string_lossy().into_owned();
    words.map(|word| word.replace(&from, &to)).collect()
}

#[test]
fn two_writers_of_one_list_are_told_by_name() {
    let agent = Agent::start_on_node(node);
    let list = agent.directory().join("net.d/10-calico.conflist");
    // The installation, and what it takes to see another program in it.
    for _ in 0..4 {
        agent.said("mesh-cni is its last plugin");
        assert_eq!(contests(&agent), 0);
        fs::write(&list, CALICO).unwrap();
    }
    let said = agent.said("another program writes");
    assert!(said.contains("10-calico.conflist"), "{said}");
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
        let told = "another program writes";
        until(&agent, 503, told);
        answers(&agent, "/v1/status", 200, told);
        drop(running);
    });
    until_ready(&agent);
}

/// How often the agent gave way.
fn contests(agent: &Agent) -> u32 {
    let metrics = agent.get("/metrics").body;
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("mesh_cni_contests_total "));
    count.unwrap().parse().unwrap()
}
