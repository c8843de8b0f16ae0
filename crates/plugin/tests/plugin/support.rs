//! One call of the binary: configuration, environment, result.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const PRODUCTPAGE: &str = include_str!("../../../../examples/bookinfo/productpage.yaml");

/// A temporary directory with manifests and the log, and a way to call the plugin.
pub(crate) struct Node {
    directory: tempfile::TempDir,
}

/// The input of a call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) environment: BTreeMap<&'static str, String>,
    pub(crate) stdin: String,
    program: PathBuf,
}

/// The output of a call.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Node {
    /// A node whose pod directory has the manifest of the documented pod.
    pub(crate) fn new() -> Self {
        let node = Self {
            directory: tempfile::tempdir().expect("a temporary directory can be created"),
        };
        fs::create_dir(node.pods()).expect("the pod directory can be created");
        node.write_pod("default_productpage.yaml", &productpage());
        node
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn pods(&self) -> PathBuf {
        self.path().join("pods")
    }

    pub(crate) fn write_pod(&self, file: &str, manifest: &str) {
        fs::write(self.pods().join(file), manifest).expect("the manifest can be written");
    }

    /// The configuration of a valid ADD.
    pub(crate) fn conf(&self) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "name": "k8s-pod-network",
            "type": "mesh-cni",
            "cni_agent_run_dir": self.path().join("run"),
            "pod_source": "file",
            "pod_dir": self.pods(),
            "prevResult": {
                "cniVersion": "1.0.0",
                "interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
                "ips": [{"address": "10.244.1.17/24", "gateway": "10.244.1.1", "interface": 0}],
                "dns": {}
            }
        })
    }

    /// A valid call, except that the namespace is not a network namespace. It can be opened but not
    /// entered, so these tests program nothing, even as root.
    pub(crate) fn call(&self, command: &str) -> Call {
        let environment = [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "0123456789abcdef"),
            ("CNI_NETNS", "/proc/self/ns/uts"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/opt/cni/bin"),
            (
                "CNI_ARGS",
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=productpage",
            ),
        ];
        Call {
            environment: environment
                .map(|(name, value)| (name, value.to_owned()))
                .into(),
            stdin: self.conf().to_string(),
            program: env!("CARGO_BIN_EXE_mesh-cni").into(),
        }
    }

    /// Replaces the path of this test's directory, for snapshots.
    pub(crate) fn readable(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "NODE")
    }
}

impl Call {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.insert(name, value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.environment.remove(name);
        self
    }

    pub(crate) fn stdin(mut self, stdin: &str) -> Self {
        stdin.clone_into(&mut self.stdin);
        self
    }

    /// Runs a copy of the binary.
    pub(crate) fn of_program(self, program: &Path) -> Self {
        let program = program.to_owned();
        Self { program, ..self }
    }

    pub(crate) fn conf(self, conf: &Value) -> Self {
        self.stdin(&conf.to_string())
    }

    pub(crate) fn run(&self) -> Output {
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the plugin starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // The plugin may exit before it reads.
        drop(stdin.write_all(self.stdin.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("the plugin exits");
        Output {
            code: output
                .status
                .code()
                .expect("the plugin exits without a signal"),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

impl Output {
    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("stdout is one JSON document")
    }
}

/// The documented pod with a short name.
pub(crate) fn productpage() -> String {
    PRODUCTPAGE.replace("name: productpage-v1-7d4c9b5f6d-x2k8q", "name: productpage")
}

/// Compares with `tests/snapshots/NAME.snap`.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}
pub(crate) use assert_snapshot;
