//! The door that the container runtime opens: the real environment and streams, one call.

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use mesh_cni_netns::Xtables;
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, run};

fn main() -> ExitCode {
    let environment = Environment::from_pairs(std::env::vars_os());
    let plugin = MeshCni::new(Xtables::search(std::env::var_os("PATH").as_deref()));
    let code = run(
        &plugin,
        &environment,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
        &mut io::stderr(),
    );
    ExitCode::from(code)
}
