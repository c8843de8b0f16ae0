//! The agent is killed at every system call that changes a file, for every kind of installation.
//! After each kill runtimes can load the network and add a pod, and the next run completes the work.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use mesh_cni_tests::{Finished, finish};

use serde_json::Value;

use crate::installations::{INSTALLATIONS, Installation};
use crate::node::{Node, run_words};

/// Every system call that can change a file or a directory. A `?` marks one that some machines do
/// not have.
const CHANGING: &str = "?open,openat,?openat2,?creat,write,pwrite64,writev,pwritev,?rename,\
    renameat,?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?link,linkat,?symlink,symlinkat,\
    ?chmod,fchmod,fchmodat,?fchmodat2,?chown,fchown,fchownat,truncate,ftruncate,fallocate,fsync,\
    fdatasync,?sync_file_range,copy_file_range,?sendfile,utimensat,setxattr,fsetxattr";

/// How often each of these calls is made.
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

/// Runs the agent and kills it when it enters the call for the given time.
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

/// Conditions that must hold at all times.
fn a_pod_can_start(node: &Node) {
    node.load();
    node.assert_every_file_loads();
    // Two calls occur only while the mode changes to or from a drop-in; the second changes nothing.
    assert!(node.calls_of_ours() <= 2);
}

fn install_completes(installation: &Installation, node: &Node, appends_drop_ins: bool) {
    node.must("install", installation.install);
    // No agent runs here, so the exit code is 1 where the plugin needs one.
    let status = node.run("status", &["--output", "json"]).stdout;
    let status: Value = serde_json::from_str(&status).expect("the output is JSON");
    assert_eq!(status["status"], "installed", "{status:#}");
    assert_eq!(node.calls_of_ours(), installation.calls(appends_drop_ins));
    let again = node.must(
        "install",
        &[installation.install, &["--output", "json"]].concat(),
    );
    assert!(again.starts_with("{\"steps\":[],"), "{again}");
    assert_others_cannot_read(node);
}

fn uninstall_leaves_no_trace(installation: &Installation, node: &Node) {
    node.must("uninstall", installation.uninstall);
    assert_eq!(node.files(), installation.untouched().files());
}

/// Other users can read the binary, and a list only if they can read the network's own list.
fn assert_others_cannot_read(node: &Node) {
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
    for installation in INSTALLATIONS {
        let node = installation.node();
        let points = calls(&node, &node.agent("install", installation.install));
        assert!(points.len() > 3, "{}: {points:?}", installation.name);
        for (call, time) in points {
            let node = installation.node();
            kill(
                &node,
                &node.agent("install", installation.install),
                &call,
                time,
            );
            println!("{}: killed at {call} {time}", installation.name);
            a_pod_can_start(&node);
            uninstall_leaves_no_trace(installation, &node.copied());
            install_completes(installation, &node, appends_drop_ins);
            killed += 1;
        }
    }
    println!("killed {killed} installs");
}

#[test]
fn an_uninstall_can_be_killed_at_every_call_that_changes_a_file() {
    let appends_drop_ins = Node::appends_drop_ins();
    let mut killed = 0;
    for installation in INSTALLATIONS {
        let node = installation.installed();
        let points = calls(&node, &node.agent("uninstall", installation.uninstall));
        assert!(points.len() > 3, "{}: {points:?}", installation.name);
        for (call, time) in points {
            let node = installation.installed();
            kill(
                &node,
                &node.agent("uninstall", installation.uninstall),
                &call,
                time,
            );
            println!("{}: killed at {call} {time}", installation.name);
            a_pod_can_start(&node);
            uninstall_leaves_no_trace(installation, &node.copied());
            if installation.uninstall.is_empty() {
                install_completes(installation, &node, appends_drop_ins);
            }
            killed += 1;
        }
    }
    println!("killed {killed} uninstalls");
}

#[test]
fn the_kill_points_are_the_calls_that_change_files() {
    let node = INSTALLATIONS[0].node();
    let points = calls(&node, &node.agent("install", &[]));
    let of = |call: &str| points.iter().filter(|(name, _)| name == call).count();
    // Binary and list are each created next to their path, given a mode, synced and renamed.
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
