//! The agent is killed at every single system call that changes a file, in every situation. After
//! each, runtimes can load the network and add a pod, and the next run does the rest.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use mesh_cni_tests::{Finished, finish};

use crate::node::{Node, run_words};
use crate::situations::{SITUATIONS, Situation};

/// Every system call by which a file, a directory or what is on the disk of it can be changed;
/// with a `?`, one that not every machine has.
const CHANGING: &str = "?open,openat,?openat2,?creat,write,pwrite64,writev,pwritev,?rename,\
    renameat,?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?link,linkat,?symlink,symlinkat,\
    ?chmod,fchmod,fchmodat,?fchmodat2,?chown,fchown,fchownat,truncate,ftruncate,fallocate,fsync,\
    fdatasync,?sync_file_range,copy_file_range,?sendfile,utimensat,setxattr,fsetxattr";

/// How often each such call is made, and which of them change something.
fn calls(node: &Node, words: &[String]) -> Vec<(String, usize)> {
    let log = node.path().join("strace");
    let finished = strace(&[format!("trace={CHANGING}")], &log, words);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let log = fs::read_to_string(log).unwrap();
    let mut counts = BTreeMap::new();
    let mut points = Vec::new();
    for line in log.lines() {
        let Some((call, rest)) = line.split_once('(') else {
            continue;
        };
        let call = call.split_whitespace().last().unwrap_or_default();
        let count = counts.entry(call.to_owned()).or_insert(0);
        *count += 1;
        let reads = call.starts_with("open")
            && !["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"]
                .iter()
                .any(|flag| rest.contains(flag));
        if !reads {
            points.push((call.to_owned(), *count));
        }
    }
    points
}

/// Runs the agent, and kills it as it enters that call for the so-manieth time.
fn kill(node: &Node, words: &[String], call: &str, time: usize) {
    let log = node.path().join("strace");
    let inject = format!("inject={call}:signal=KILL:when={time}");
    let finished = strace(&[format!("trace={call}"), inject], &log, words);
    assert_eq!(
        finished.code, -1,
        "{call} {time} was never reached: {}",
        finished.stdout
    );
}

fn strace(expressions: &[String], log: &std::path::Path, words: &[String]) -> Finished {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log);
    for expression in expressions {
        strace.args(["-e", expression]);
    }
    finish(
        strace
            .args(words)
            .env("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        "",
    )
}

/// What must hold at any moment.
fn a_pod_can_start(node: &Node) {
    node.load();
    node.every_file_can_be_loaded();
    // Twice only while the mode is changed to or from a drop-in, and then to no effect.
    assert!(node.calls_of_ours() <= 2);
}

fn install_does_the_rest(situation: &Situation, node: &Node, appends_drop_ins: bool) {
    node.must("install", situation.install);
    node.must("status", &[]);
    assert_eq!(node.calls_of_ours(), situation.calls(appends_drop_ins));
    let again = node.must(
        "install",
        &[situation.install, &["--output", "json"]].concat(),
    );
    assert!(again.starts_with("{\"steps\":[],"), "{again}");
    nobody_else_can_read(node);
}

fn uninstall_leaves_no_trace(situation: &Situation, node: &Node) {
    node.must("uninstall", situation.uninstall);
    assert_eq!(node.files(), situation.untouched().files());
}

/// Of ours, others can read the binary, and lists where they can read the network's own.
fn nobody_else_can_read(node: &Node) {
    for (name, (mode, _)) in node.files() {
        let theirs = name.starts_with("bin") || (mode & 0o170_000) == 0o040_000;
        let alone = name.ends_with("YYY-mesh-cni.conflist");
        assert!(
            theirs || alone || mode & 0o004 == 0,
            "{} {mode:o}",
            name.display()
        );
    }
}

#[test]
fn an_install_can_be_killed_at_every_call_that_changes_a_file() {
    let appends_drop_ins = Node::appends_drop_ins();
    let mut killed = 0;
    for situation in SITUATIONS {
        let node = situation.node();
        let points = calls(&node, &node.agent("install", situation.install));
        assert!(points.len() > 3, "{}: {points:?}", situation.name);
        for (call, time) in points {
            let node = situation.node();
            kill(
                &node,
                &node.agent("install", situation.install),
                &call,
                time,
            );
            println!("{}: killed at {call} {time}", situation.name);
            a_pod_can_start(&node);
            uninstall_leaves_no_trace(situation, &node.copied());
            install_does_the_rest(situation, &node, appends_drop_ins);
            killed += 1;
        }
    }
    println!("killed {killed} installs");
}

#[test]
fn an_uninstall_can_be_killed_at_every_call_that_changes_a_file() {
    let appends_drop_ins = Node::appends_drop_ins();
    let mut killed = 0;
    for situation in SITUATIONS {
        let node = situation.installed();
        let points = calls(&node, &node.agent("uninstall", situation.uninstall));
        assert!(points.len() > 3, "{}: {points:?}", situation.name);
        for (call, time) in points {
            let node = situation.installed();
            kill(
                &node,
                &node.agent("uninstall", situation.uninstall),
                &call,
                time,
            );
            println!("{}: killed at {call} {time}", situation.name);
            a_pod_can_start(&node);
            uninstall_leaves_no_trace(situation, &node.copied());
            if situation.uninstall.is_empty() {
                install_does_the_rest(situation, &node, appends_drop_ins);
            }
            killed += 1;
        }
    }
    println!("killed {killed} uninstalls");
}

#[test]
fn the_points_are_those_that_change_files() {
    let node = SITUATIONS[0].node();
    let points = calls(&node, &node.agent("install", &[]));
    let of = |call: &str| points.iter().filter(|(name, _)| name == call).count();
    // The binary and the list: each made beside its place, given a mode, synced and renamed.
    assert!(
        of("rename") + of("renameat") + of("renameat2") >= 2,
        "{points:?}"
    );
    assert!(of("fsync") + of("fdatasync") >= 4, "{points:?}");
    assert!(of("fchmod") >= 2, "{points:?}");
    let finished = run_words(&node.agent("install", &["--output", "json"]));
    assert!(
        finished.stdout.starts_with("{\"steps\":[],"),
        "{}",
        finished.stdout
    );
}
