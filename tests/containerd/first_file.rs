//! containerd and the installation agree on the first file: either both use it, or no pod starts until
//! the remedy is followed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_cni_tests::{SandboxPod, crictl, finish, mesh_cni, mesh_cni_agent};
use serde_json::Value;

use crate::node::{Node, manifest};
use crate::sandboxes::difference;

const TIMEOUT: Duration = Duration::from_secs(60);

const OWN: &str = "/etc/cni/net.d/10-pod-network.conflist";

fn conf(node: &Node, name: &str) -> PathBuf {
    node.path("/etc/cni/net.d").join(name)
}

/// Runs the agent, which must succeed; returns its output.
fn agent(node: &Node, words: &str) -> String {
    let mut command = node.isolated_host.command(mesh_cni_agent());
    command.args(words.split(' '));
    if words.starts_with("install") {
        command.args(["--pod-source", "file", "--pod-dir", "/etc/mesh-cni/pods"]);
        command.arg("--plugin-binary").arg(mesh_cni());
    }
    let finished = finish(&mut command, "");
    assert_eq!(finished.code, 0, "{words}: {}", finished.stderr);
    finished.stdout
}

/// Waits until containerd has loaded its configuration with such a result.
fn wait_for_load(node: &Node, what: &str, is_such: impl Fn(&Value) -> bool) {
    let end = Instant::now() + TIMEOUT;
    loop {
        let info = crictl(&node.isolated_host, &["info"]).stdout;
        let info: Value = serde_json::from_str(&info).unwrap_or_default();
        if is_such(&info) {
            return;
        }
        assert!(Instant::now() < end, "{what}: {info:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the loaded network has this list's plugins.
fn has_loaded(info: &Value, list: &Value) -> bool {
    let networks = info["cniconfig"]["Networks"].as_array().cloned();
    networks.into_iter().flatten().any(|network| {
        let source = network["Config"]["Source"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(source)
            .is_ok_and(|source| source["plugins"] == list["plugins"])
    })
}

fn wait_for_list(node: &Node, path: PathBuf) {
    let list: Value = serde_json::from_slice(&lossy(path)).unwrap();
    wait_for_load(node, "the list is not loaded", |info| {
        has_loaded(info, &list)
    });
}

/// The file as libcni reads it.
fn lossy(path: PathBuf) -> Vec<u8> {
    String::from_utf8_lossy(&fs::read(path).unwrap())
        .into_owned()
        .into_bytes()
}

/// Starts the pod, which must have its rules, and removes it.
fn assert_redirected(node: &Node, pod: &SandboxPod) {
    let sandbox = pod.start(&node.isolated_host).unwrap();
    assert_eq!(difference(node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);
}

fn pod(node: &Node) -> SandboxPod {
    let pod = SandboxPod::new("cart", "0b1f6f3e-0000-4000-8000-000000000001");
    node.write_manifest(&pod, &manifest(&pod));
    pod
}

type WriteFile = fn(PathBuf);

/// Ways to make a file that cannot be loaded.
const BROKEN: [(&str, WriteFile); 5] = [
    ("truncated.conflist", |path| {
        fs::write(path, r#"{"name": "x", "plugins": [{"type": "brid"#).unwrap();
    }),
    ("link.conf", |path| symlink("gone", path).unwrap()),
    ("empty.json", |path| fs::write(path, "").unwrap()),
    ("number.conflist", |path| {
        let text = r#"{"cniVersion": 1.0, "name": "x", "plugins": [{"type": "bridge"}]}"#;
        fs::write(path, text).unwrap();
    }),
    ("bytes.conf", |path| {
        fs::write(path, b"\xe9{\"name\": \"x\", \"type\": \"bridge\"}").unwrap();
    }),
];

#[test]
fn no_pod_starts_while_the_first_file_is_broken() {
    let node = Node::with(None);
    let pod = pod(&node);
    for (name, break_file) in BROKEN {
        let path = conf(&node, &format!("05-{name}"));
        break_file(path.clone());
        // containerd does not load its configuration again after the creation of a link.
        let written = conf(&node, "written");
        fs::write(&written, "").unwrap();
        fs::remove_file(written).unwrap();
        wait_for_load(&node, name, |info| {
            let status = info["lastCNILoadStatus"].as_str().unwrap_or_default();
            status.contains(&format!("05-{name}"))
        });
        let report = agent(&node, "install");
        let ignored = format!("ignored /etc/cni/net.d/05-{name}, which runtimes do not load: ");
        let effect = "containerd loads no network while this file is the first";
        assert!(
            report.contains(&ignored) && report.contains(effect),
            "{report}"
        );
        // containerd keeps the name of a pod that did not start.
        let refused = SandboxPod::new(name, name);
        let error = refused.start(&node.isolated_host).unwrap_err();
        assert!(error.contains("cni plugin not initialized"), "{error}");
        // As the note says.
        fs::remove_file(path).unwrap();
        wait_for_list(&node, node.path(OWN));
        assert_redirected(&node, &pod);
    }
}

#[test]
fn a_broken_file_that_is_not_the_first_changes_nothing() {
    let node = Node::with(None);
    let pod = pod(&node);
    for (name, break_file) in BROKEN {
        break_file(conf(&node, &format!("99-{name}")));
        let report = agent(&node, "install");
        assert!(!report.contains("while this file is the first"), "{report}");
    }
    wait_for_list(&node, node.path(OWN));
    assert_redirected(&node, &pod);
}

#[test]
fn a_first_file_that_is_not_utf8_is_used_by_both() {
    let node = Node::with(None);
    let pod = pod(&node);
    let list: Value = serde_json::from_slice(&fs::read(node.path(OWN)).unwrap()).unwrap();
    let mut bridge = list["plugins"][0].clone();
    bridge["name"] = "old".into();
    bridge["cniVersion"] = "1.0.0".into();
    bridge["comment"] = "caf#".into();
    let text = bridge.to_string().into_bytes();
    let text: Vec<u8> = text
        .into_iter()
        .map(|byte| if byte == b'#' { 0xe9 } else { byte })
        .collect();
    fs::write(conf(&node, "05-old.conf"), &text).unwrap();
    agent(&node, "install");
    wait_for_list(&node, conf(&node, "05-old.conflist"));
    assert_redirected(&node, &pod);
    agent(&node, "uninstall --grace 0 --remove-binary");
    assert_eq!(fs::read(conf(&node, "05-old.conf")).unwrap(), text);
}

/// Newer runtimes append the files of the network's directory, and load no list with a broken one.
#[test]
fn a_broken_drop_in_does_not_concern_this_containerd() {
    let node = Node::with(None);
    let pod = pod(&node);
    let directory = conf(&node, "pod-network");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("50-tuning.conf"), "{").unwrap();
    let report = agent(&node, "install");
    assert!(
        report.contains("50-tuning.conf cannot be loaded"),
        "{report}"
    );
    wait_for_list(&node, node.path(OWN));
    assert_redirected(&node, &pod);
}
