//! Unprivileged users of a node against the ports of its agent: pods still start, and the kubelet's
//! probes still get their answers.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mesh_cni_tests::{Agent, KubeApi, MANIFESTS, copy_program, finish, mesh_cni_agent};
use tempfile::TempDir;

use crate::node::{Node, PLAIN, passed};

/// The user and group `nobody`.
const NOBODY: u32 = 65534;

/// A program of an unprivileged user, which ends when this is dropped.
struct LocalUser {
    child: Child,
    _directory: TempDir,
}

impl LocalUser {
    fn start(what: &str, addresses: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        // The user may not be able to reach the directory of the build.
        let program: PathBuf = directory.path().join("local-user");
        copy_program(Path::new(env!("CARGO_BIN_EXE_local-user")), &program);
        let mut child = Command::new(program)
            .arg(what)
            .args(addresses.iter().map(ToString::to_string))
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self {
            child,
            _directory: directory,
        }
    }
}

impl Drop for LocalUser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Two free addresses: of health and of metrics.
fn addresses() -> [SocketAddr; 2] {
    let ports = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    ports.map(|port| port.local_addr().unwrap())
}

/// A node whose agent listens on these addresses and may open as many files as a usual process.
fn start(addresses: [SocketAddr; 2]) -> Node {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
    let agent = Agent::on_ports(&kubeconfig, directory.path(), addresses);
    let mut command = Command::new("prlimit");
    command
        .arg("--nofile=1024:1024")
        .arg(agent.get_program())
        .args(agent.get_args());
    let mut agent = Agent::spawn(&command, directory.path());
    agent.wait_for_pods();
    Node {
        agent,
        api,
        directory,
    }
}

/// The exit code of a probe, as the kubelet runs it.
fn probe(node: &Node, state: &str) -> i32 {
    let mut command = Command::new(mesh_cni_agent());
    command.args(["status", "--probe", state, "--run-dir"]);
    finish(command.arg(&node.agent.client().run_dir), "").code
}

#[test]
fn pods_start_and_probes_pass_while_a_local_user_blocks_the_ports() {
    let addresses = addresses();
    let mut node = start(addresses);
    let plain = node.pod("plain", PLAIN);
    for what in ["unfinished", "unread", "flood"] {
        let user = LocalUser::start(what, &addresses);
        for _ in 0..20 {
            let answer = node.add("plain", &plain);
            assert!(passed(&answer), "{what}: {answer}");
            assert_eq!(probe(&node, "live"), 0, "{what}");
            assert_eq!(probe(&node, "ready"), 0, "{what}");
        }
        let later = node.pod(what, PLAIN);
        assert!(passed(&node.add(what, &later)), "{what}");
        drop(user);
    }
}

#[test]
fn a_local_user_who_takes_the_ports_stops_nothing_else() {
    let addresses = addresses();
    let user = LocalUser::start("listen", &addresses);
    let mut node = start(addresses);
    let plain = node.pod("plain", PLAIN);
    assert!(passed(&node.add("plain", &plain)));
    assert_eq!(probe(&node, "ready"), 0);
    for port in ["health", "metrics"] {
        let why = format!("degraded: port `{port}`: cannot listen on address");
        node.agent.wait_for("does not report its port", |agent| {
            agent.get("/readyz")?.contains(&why).then_some(())
        });
    }
    drop(user);
    for port in ["health", "metrics"] {
        node.agent.wait_for_log(&format!(
            "listening address={}",
            addresses[usize::from(port == "metrics")]
        ));
    }
    let ready = node.agent.client().get("/readyz").unwrap();
    assert!(!ready.contains("degraded"), "{ready}");
}

#[test]
fn a_probe_does_not_accept_the_answer_of_another_container() {
    let node = start(addresses());
    assert_eq!(probe(&node, "live"), 0);
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork"])
        .arg(mesh_cni_agent())
        .args(["status", "--probe", "live", "--run-dir"]);
    let other = finish(unshare.arg(&node.agent.client().run_dir), "");
    assert_eq!(other.code, 1, "{}", other.stderr);
    assert!(
        other.stderr.contains("an agent outside of this container"),
        "{}",
        other.stderr
    );
}

#[test]
fn no_other_user_can_open_the_socket_or_the_lock() {
    let node = start(addresses());
    let run_dir = &node.agent.client().run_dir;
    // The kubelet creates the directory with this mode.
    for directory in [run_dir.parent().unwrap(), run_dir] {
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    }
    for file in ["agent.sock", "agent.lock"] {
        let mut test = Command::new("test");
        let path = run_dir.join(file);
        assert_eq!(
            finish(test.arg("-e").arg(&path).uid(NOBODY).gid(NOBODY), "").code,
            0
        );
        for right in ["-r", "-w"] {
            let mut test = Command::new("test");
            let test = test.arg(right).arg(&path).uid(NOBODY).gid(NOBODY);
            assert_eq!(finish(test, "").code, 1, "{right} {file}");
        }
    }
}
