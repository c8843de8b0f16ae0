//! `status`: back ends, the choice of `auto`, plugin and agent, with each exit code.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use mesh_cni_netns::{BackendProbeCache, Xtables};
use serde_json::{Value, json};

use crate::machine::{copy_program, mesh_cnictl, output, stderr, stdout};
use crate::schema;

/// A node with its three directories.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for name in ["bin", "net.d", "run"] {
            fs::create_dir(node.path(name)).unwrap();
        }
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Installs the plugin, which is built beside `mesh-cnictl`, with these fields in its entry.
    fn install(&self, fields: &Value) {
        let program = Path::new(env!("CARGO_BIN_EXE_mesh-cnictl"));
        let binary = self.path("bin/mesh-cni");
        copy_program(&program.with_file_name("mesh-cni"), &binary);
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let mut entry = json!({"type": "mesh-cni", "cni_agent_run_dir": self.path("run")});
        let fields = fields.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(fields);
        let plugins = json!([{"type": "bridge"}, entry]);
        let list = json!({"cniVersion": "1.0.0", "name": "n", "plugins": plugins});
        fs::write(self.path("net.d/10-n.conflist"), list.to_string()).unwrap();
    }

    /// Installs the plugin with a pod source that needs no agent.
    fn install_without_agent(&self) {
        self.install(&json!({"pod_source": "runtime"}));
    }

    /// The error of the plugin's STATUS for that list's entry: its message and details.
    fn plugin_status(&self) -> (String, String) {
        let list = fs::read(self.path("net.d/10-n.conflist")).unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        let mut entry = list["plugins"][1].clone();
        entry["cniVersion"] = "1.1.0".into();
        entry["name"] = "n".into();
        let input = self.path("entry");
        fs::write(&input, entry.to_string()).unwrap();
        let ended = Command::new(self.path("bin/mesh-cni"))
            .env("CNI_COMMAND", "STATUS")
            .env("CNI_PATH", self.path("bin"))
            .stdin(File::open(input).unwrap())
            .output()
            .unwrap();
        let error: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let text = |key: &str| error[key].as_str().unwrap().to_owned();
        (text("msg"), text("details"))
    }

    /// The exit code, and the report as text or JSON.
    fn status(&self, format: &str) -> (Option<i32>, String) {
        let mut command = mesh_cnictl(&["status", "--output", format]);
        let directories = [("--cni-bin-dir", "bin"), ("--cni-conf-dir", "net.d")];
        for (flag, name) in directories {
            command.arg(flag).arg(self.path(name));
        }
        let ended = output(&mut command);
        let text = stdout(&ended).replace(&self.0.path().display().to_string(), "NODE");
        (ended.status.code(), text)
    }

    fn json(&self) -> (Option<i32>, Value) {
        let (code, text) = self.status("json");
        let report = serde_json::from_str(&text).unwrap();
        schema::assert_valid("status", &report);
        (code, report)
    }
}

/// Removes the kernel's release, which differs between machines.
fn without_kernel(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("kernel "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_node_that_is_ready() {
    let node = Node::new();
    node.install_without_agent();
    let (code, text) = node.status("text");
    assert_eq!(code, Some(0), "{text}");
    insta::assert_snapshot!(without_kernel(&text), @r"
    back ends netlink          works
              nft-native       works
              iptables-nft     works
              iptables-legacy  works
    auto      netlink          the preferred back end works; probed now; the first ADD caches its choice until the next boot
    plugin    installed in NODE/net.d/10-n.conflist
    agent     none             no agent has run here: `NODE/run/agent.sock` does not exist
    ");
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report["kernel"], release.trim());
    assert_eq!(report["backends"][0]["works"], true);
    assert_eq!(report["auto"]["backend"], "netlink");
    assert_eq!(report["plugin"]["installation"], "installed");
    assert_eq!(report["plugin"]["pod_source"], "runtime");
    assert_eq!(report["agent"]["state"], "none");
}

#[test]
fn a_node_without_the_plugin() {
    let node = Node::new();
    let (code, report) = node.json();
    assert_eq!(code, Some(1));
    assert_eq!(report["plugin"]["installation"], "not-installed");
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.iter().all(|problem| problem["remedy"] != ""));
    assert_eq!(problems.len(), 2, "{report:#}");
}

/// Entries with which no ADD works on a node without an agent.
fn broken_entries() -> [Value; 4] {
    [
        json!({}),
        json!({"pod_source": "auto", "kubeconfig": "/no/such/kubeconfig"}),
        json!({"pod_source": "api", "kubeconfig": "/no/such/kubeconfig"}),
        json!({"pod_source": "file", "pod_dir": "/no/such/directory"}),
    ]
}

#[test]
fn the_answer_is_that_of_the_plugins_own_status() {
    for fields in broken_entries() {
        let node = Node::new();
        node.install(&fields);
        let (code, report) = node.json();
        assert_eq!(code, Some(1), "{fields}");
        assert_eq!(report["works"], false);
        assert_eq!(report["plugin"]["installation"], "installed");
        let (message, remedy) = node.plugin_status();
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{report:#}");
        let shown = problems[0]["message"].as_str().unwrap();
        let message = message.replace(&node.0.path().display().to_string(), "NODE");
        assert_eq!(shown, format!("the plugin's STATUS, code 50: {message}"));
        assert_eq!(problems[0]["remedy"], remedy);
    }
}

#[test]
fn a_node_whose_plugin_needs_an_agent_that_does_not_run() {
    let node = Node::new();
    node.install(&json!({}));
    let (code, text) = node.status("text");
    assert_eq!(code, Some(1));
    let from_plugin = text.lines().skip_while(|line| !line.starts_with("plugin"));
    insta::assert_snapshot!(from_plugin.collect::<Vec<_>>().join("\n"), @r"
    plugin    installed in NODE/net.d/10-n.conflist
    agent     none             no agent has run here: `NODE/run/agent.sock` does not exist
    problem   the plugin's STATUS, code 50: the agent does not answer on `NODE/run/agent.sock`: the connection failed: No such file or directory (os error 2)
              remedy: check the agent on this node, a pod of the mesh-cni DaemonSet: it is starting or stopped, or its run directory is not `cni_agent_run_dir`; the runtime tries again
    ");
}

#[test]
fn a_program_that_is_not_the_plugin_is_a_problem() {
    let node = Node::new();
    node.install_without_agent();
    fs::write(node.path("bin/mesh-cni"), "#!/bin/sh\nexit 7\n").unwrap();
    let (code, report) = node.json();
    assert_eq!(code, Some(1));
    let message = report["problems"][0]["message"].as_str().unwrap();
    assert_eq!(message, "the plugin's STATUS ended with exit status: 7");
}

#[test]
fn status_needs_root() {
    let ended = output(mesh_cnictl(&["status"]).uid(65534).current_dir("/"));
    assert_eq!(ended.status.code(), Some(3), "{}", stderr(&ended));
    assert_eq!(stdout(&ended), "");
    insta::assert_snapshot!(stderr(&ended), @r"
    error: status needs root: without CAP_NET_ADMIN it cannot tell which back ends work
    hint: run it as root
    ");
}

#[test]
fn a_platform_sets_the_directories() {
    let ended = output(&mut mesh_cnictl(&["status", "--platform", "k3s"]));
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    let text = stdout(&ended);
    assert!(
        text.contains("/var/lib/rancher/k3s/data/cni/mesh-cni"),
        "{text}"
    );
    let unknown = output(&mut mesh_cnictl(&["status", "--platform", "k8s"]));
    assert_eq!(unknown.status.code(), Some(2));
    insta::assert_snapshot!(stderr(&unknown), @r"
    error: `k8s` is not a known platform; known are bottlerocket, eks, gke, k3d, k3s, microk8s, minikube, openshift, rke2, talos
    hint: set the directories with --cni-bin-dir and --cni-conf-dir
    ");
}

#[test]
fn the_cached_choice_of_auto_is_shown_with_its_reason() {
    let node = Node::new();
    node.install_without_agent();
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let mut cache = BackendProbeCache::probe(&xtables);
    cache.results[0].1 = Err("no nft_compat".to_owned());
    cache.store(Path::new(&node.path("run")), &xtables).unwrap();
    let (code, report) = node.json();
    assert_eq!(code, Some(0));
    assert_eq!(report["auto"]["backend"], "nft-native");
    insta::assert_snapshot!(report["auto"]["reason"].as_str().unwrap(), @"the first that works: netlink does not; cached in `NODE/run/backends`; a probe now gives a different result");
}

/// The status of a node with an agent that knows its pods, and that sends this as its status.
fn with_agent(answer: &str) -> (Option<i32>, Value) {
    let node = Node::new();
    node.install(&json!({}));
    let listener = UnixListener::bind(node.path("run/agent.sock")).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let answers = [
                ("GET /v1/status ", answer),
                ("GET /readyz/watch ", "HTTP/1.1 200 OK\r\n\r\nok\n"),
            ];
            for (path, answer) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let size = stream.read(&mut request).unwrap();
                assert!(request[..size].starts_with(path.as_bytes()));
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        node.json()
    })
}

#[test]
fn a_node_whose_agent_is_running() {
    let (code, report) = with_agent(
        "HTTP/1.1 200 OK\r\n\r\n{\"state\": \"running\", \"why\": \"every check passes\", \"pods\": 3}",
    );
    assert_eq!(code, Some(0));
    assert_eq!(report["agent"]["state"], "running");
    assert_eq!(report["agent"]["reason"], "every check passes");
}

#[test]
fn a_node_whose_agent_is_not_ready() {
    let (code, report) = with_agent(
        "HTTP/1.1 200 OK\r\n\r\n{\"state\": \"updating\", \"why\": \"watch: not heard yet\"}",
    );
    assert_eq!(code, Some(1));
    assert_eq!(report["plugin"]["installation"], "installed");
    assert_eq!(report["agent"]["state"], "updating");
    assert_eq!(report["agent"]["reason"], "watch: not heard yet");
}

#[test]
fn a_node_whose_agent_sends_an_invalid_response() {
    let (code, report) = with_agent("HTTP/1.1 200 OK\r\n\r\nwell");
    assert_eq!(code, Some(1));
    assert_eq!(report["agent"]["state"], "silent");
    let why = report["agent"]["reason"].as_str().unwrap();
    assert!(why.contains("cannot parse the response"), "{why}");
}

#[test]
fn a_node_whose_agent_does_not_answer() {
    let node = Node::new();
    node.install(&json!({}));
    drop(UnixListener::bind(node.path("run/agent.sock")).unwrap());
    let (code, report) = node.json();
    assert_eq!(code, Some(1));
    assert_eq!(report["agent"]["state"], "silent");
    insta::assert_snapshot!(report["agent"]["reason"].as_str().unwrap(), @"no agent answers at `NODE/run/agent.sock`: the connection failed: Connection refused (os error 111)");
    assert_eq!(report["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_use() {
    let ended = output(&mut mesh_cnictl(&["status", "--cni-bin", "x"]));
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(stdout(&ended), "");
}

#[test]
fn a_node_that_cannot_be_inspected() {
    let node = Node::new();
    node.install_without_agent();
    let folder = node.path("net.d");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file in place of the directory").unwrap();
    let (code, text) = node.status("text");
    assert_eq!((code, text.as_str()), (Some(3), ""));
}
