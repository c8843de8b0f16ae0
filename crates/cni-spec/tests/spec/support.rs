//! A plugin for tests, and calls of it.

use std::cell::RefCell;
use std::io::Write;

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, GcRequest, Plugin, SpecVersion,
    StatusRequest, pass_through, run,
};
use serde_json::{Value, json};

/// Passes the previous result through, and records its calls.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) versions: Option<Vec<SpecVersion>>,
    pub(crate) calls: RefCell<Vec<String>>,
    pub(crate) panics: bool,
}

/// The output of a call.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) exit: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Recorder {
    fn record(&self, call: String) {
        self.calls.borrow_mut().push(call);
        assert!(!self.panics, "first line\nsecond line");
    }
}

impl Plugin for Recorder {
    fn about(&self) -> &'static str {
        "recorder 1.2.3"
    }

    fn supported_versions(&self) -> &[SpecVersion] {
        self.versions.as_deref().unwrap_or(SpecVersion::ALL)
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        let AddRequest {
            container_id,
            netns,
            ifname,
            ..
        } = request;
        self.record(format!("add {container_id} {} {ifname}", netns.display()));
        pass_through(
            request.conf.required_prev_result()?,
            request.conf.cni_version,
        )
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        self.record(format!("check {}", request.container_id));
        Ok(())
    }

    fn del(&self, request: &DelRequest) -> Result<(), CniError> {
        self.record(format!("del {} {:?}", request.container_id, request.netns));
        Ok(())
    }

    fn gc(&self, request: &GcRequest) -> Result<(), CniError> {
        let valid = request.conf.valid_attachments.as_ref();
        self.record(format!("gc {:?}", valid.map(Vec::len)));
        Ok(())
    }

    fn status(&self, _: &StatusRequest) -> Result<(), CniError> {
        self.record("status".to_owned());
        Ok(())
    }
}

impl Output {
    /// The one document on stdout.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("stdout contains one JSON document")
    }

    /// The code of the error object.
    pub(crate) fn code(&self) -> u64 {
        assert_eq!(self.exit, 1, "{self:?}");
        self.document()["code"].as_u64().unwrap()
    }

    pub(crate) fn msg(&self) -> String {
        self.document()["msg"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn call(plugin: &dyn Plugin, environment: &[(&str, &str)], stdin: &[u8]) -> Output {
    call_in(
        plugin,
        &Environment::from_pairs(environment.iter().copied()),
        stdin,
    )
}

pub(crate) fn call_in(plugin: &dyn Plugin, environment: &Environment, mut stdin: &[u8]) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let exit = run(plugin, environment, &mut stdin, &mut stdout, &mut stderr);
    stdout.flush().unwrap();
    Output {
        exit,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// A complete environment for a command.
pub(crate) fn environment(command: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/var/run/netns/c1"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/opt/cni/bin:/usr/lib/cni"),
    ]
}

/// A configuration of a version, with a previous result of that version.
pub(crate) fn configuration(version: SpecVersion) -> Value {
    json!({
        "cniVersion": version.as_str(),
        "name": "net",
        "type": "recorder",
        "prevResult": {"cniVersion": version.as_str()},
    })
}
