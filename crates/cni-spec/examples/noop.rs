//! A complete chained plugin without effect. Copy the program to the directory of the plugins, and
//! add `{"type": "noop"}` to the end of a network configuration list.

use std::io;
use std::process::ExitCode;

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, pass_through, run,
};
use serde_json::Value;

struct Noop;

impl Plugin for Noop {
    fn about(&self) -> &'static str {
        "noop: returns the previous result"
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
