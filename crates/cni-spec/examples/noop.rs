//! A complete chained plugin that does nothing: put its file into the plugins' folder, and
//! `{"type": "noop"}` at the end of a network configuration list.

use std::io;
use std::process::ExitCode;

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, pass_through, run,
};
use serde_json::Value;

struct Noop;

impl Plugin for Noop {
    fn about(&self) -> &'static str {
        "noop: hands on the previous result"
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        let prev = request.conf.required_prev_result()?;
        pass_through(prev, request.conf.cni_version)
    }

    fn check(&self, request: &CheckRequest) -> Result<(), CniError> {
        request.conf.required_prev_result().map(drop)
    }

    fn del(&self, _: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }
}

fn main() -> ExitCode {
    let environment = Environment::from_pairs(std::env::vars_os());
    let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
    run(&Noop, &environment, &mut stdin, &mut stdout, &mut stderr).into()
}
