//! A whole call: `NAME=VALUE` lines of the environment, an empty line, and the configuration.

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, pass_through, run as call,
};
use serde_json::Value;

use crate::property::assert_one_line;

/// A plugin that reads all of its request.
struct Reader;

impl Plugin for Reader {
    fn about(&self) -> &'static str {
        "reader"
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        request.conf.prev_addresses()?;
        request.conf.decoded_prev_result()?;
        pass_through(
            request.conf.required_prev_result()?,
            request.conf.cni_version,
        )
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        request.conf.prev_addresses().map(drop)
    }

    fn del(&self, _: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }
}

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (variables, stdin) = text.split_once("\n\n").unwrap_or((&text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment = Environment::from_pairs(variables);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = call(
        &Reader,
        &environment,
        &mut stdin.as_bytes(),
        &mut stdout,
        &mut stderr,
    );
    let stdout = String::from_utf8(stdout).expect("a result is UTF-8");
    // Escapes of JSON take six bytes for a byte.
    assert!(stdout.len() <= 8 * text.len() + 1024, "{stdout}");
    assert_eq!(
        stdout.lines().count(),
        usize::from(!stdout.is_empty()),
        "{stdout:?}"
    );
    if stdout.is_empty() {
        assert_eq!(code, 0);
        return;
    }
    let document: Value = serde_json::from_str(&stdout).expect("a result is one document");
    assert!(document["cniVersion"].is_string(), "{stdout}");
    if code == 1 {
        assert_one_line(stdout.trim_end_matches('\n'));
        assert!(
            document["code"].is_u64() && document["msg"].is_string(),
            "{stdout}"
        );
        assert_one_line(document["msg"].as_str().unwrap_or_default());
        assert_ne!(document["code"], 999, "the plugin panicked: {stdout}");
    }
}
