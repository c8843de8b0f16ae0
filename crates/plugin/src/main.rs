//! The program that the container runtime runs: one call, with the environment and streams of the
//! process.

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use mesh_cni_netns::Xtables;
use mesh_cni_plan::UNINSTALLED_MARK;
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, run};

/// musl's allocator returns memory to the kernel and requests it again: a third of an ADD's time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let environment = Environment::from_pairs(std::env::vars_os());
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let plugin = MeshCni::new(xtables)
        .for_one_call()
        .passing_through(is_uninstalled());
    let code = run(
        &plugin,
        &environment,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
        &mut io::stderr(),
    );
    ExitCode::from(code)
}

fn is_uninstalled() -> bool {
    std::env::current_exe().is_ok_and(|own| own.with_file_name(UNINSTALLED_MARK).exists())
}
