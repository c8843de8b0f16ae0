//! The door that the container runtime opens: the real environment and streams, one call.

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use mesh_cni_netns::Xtables;
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, run};

/// musl's own gives memory back to the kernel and asks for it again all the time: a third of an ADD.
#[cfg(target_env = "musl")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let environment = Environment::from_pairs(std::env::vars_os());
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let plugin = MeshCni::new(xtables).for_one_call();
    let code = run(
        &plugin,
        &environment,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
        &mut io::stderr(),
    );
    ExitCode::from(code)
}
