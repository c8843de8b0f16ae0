//! Calls of a reference plugin and of this crate.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, SpecVersion, pass_through,
    run,
};
use serde_json::Value;

/// The versions that the reference plugins support.
pub(crate) const SUPPORTED: &[SpecVersion] = &[
    SpecVersion::V0_1_0,
    SpecVersion::V0_2_0,
    SpecVersion::V0_3_0,
    SpecVersion::V0_3_1,
    SpecVersion::V0_4_0,
    SpecVersion::V1_0_0,
];

/// The output of a call.
#[derive(Debug, PartialEq)]
pub(crate) struct Output {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A minimal chained plugin with the reference's versions.
pub(crate) struct Ours;

impl Plugin for Ours {
    fn about(&self) -> &'static str {
        "ours"
    }

    fn supported_versions(&self) -> &[SpecVersion] {
        SUPPORTED
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        pass_through(
            request.conf.required_prev_result()?,
            request.conf.cni_version,
        )
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        request.conf.required_prev_result().map(drop)
    }

    fn del(&self, _: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }
}

impl Output {
    pub(crate) fn document(&self) -> Value {
        let document = serde_json::from_str(&self.stdout);
        assert!(
            document.is_ok(),
            "stdout is not one JSON document: {self:?}"
        );
        document.unwrap()
    }

    /// The exit code, and the error code if there is an error object.
    pub(crate) fn exit_and_code(&self) -> (i32, Option<u64>) {
        if self.stdout.is_empty() {
            return (self.exit, None);
        }
        (
            self.exit,
            self.document().get("code").and_then(Value::as_u64),
        )
    }

    pub(crate) fn msg(&self) -> String {
        self.document()["msg"].as_str().unwrap().to_owned()
    }
}

/// The file of a reference plugin; fails if it is missing.
pub(crate) fn reference(name: &str) -> PathBuf {
    let folder = std::env::var_os("CNI_REFERENCE_DIR").unwrap_or_else(|| "/usr/lib/cni".into());
    let file = PathBuf::from(folder).join(name);
    assert!(
        file.is_file(),
        "the reference plugin {} is missing: install the package containernetworking-plugins, \
         or set CNI_REFERENCE_DIR to the directory of the plugins",
        file.display()
    );
    file
}

/// Calls a reference plugin.
pub(crate) fn theirs(name: &str, environment: &[(&str, &str)], stdin: &[u8]) -> Output {
    output(
        Command::new(reference(name))
            .env_clear()
            .envs(environment.iter().copied()),
        stdin,
    )
}

/// Calls this crate.
pub(crate) fn ours(environment: &[(&str, &str)], mut stdin: &[u8]) -> Output {
    let environment = Environment::from_pairs(environment.iter().copied());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let exit = run(&Ours, &environment, &mut stdin, &mut stdout, &mut stderr);
    Output {
        exit: exit.into(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) fn output(command: &mut Command, stdin: &[u8]) -> Output {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A plugin with missing variables exits without reading stdin.
    drop(child.stdin.take().unwrap().write_all(stdin));
    let output = child.wait_with_output().unwrap();
    Output {
        exit: output
            .status
            .code()
            .expect("a plugin is not killed by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A complete environment for a command.
pub(crate) fn environment(command: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/dev/null"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/nowhere"),
    ]
}
