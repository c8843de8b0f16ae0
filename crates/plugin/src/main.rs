//! The program that the container runtime runs: one call, with the environment and streams of the
//! process.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::panic;
use std::path::PathBuf;
use std::process::{self, ExitCode};

use mesh_cni_netns::Xtables;
use mesh_cni_plan::UNINSTALLED_MARK;
use mesh_cni_plugin::MeshCni;
use mesh_cni_spec::{Environment, SpecVersion, panicked, run};

/// musl's allocator returns memory to the kernel and requests it again: a third of an ADD's time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_panic));
    let environment = Environment::from_pairs(std::env::vars_os());
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let plugin = MeshCni::new(xtables)
        .for_one_call()
        .passing_through(is_uninstalled());
    let code = run(
        &plugin,
        &environment,
        &mut io::stdin().lock(),
        // Not locked: the panic hook of another thread may write to it.
        &mut io::stdout(),
        &mut io::stderr(),
    );
    ExitCode::from(code)
}

/// Whether the mark is beside this program, or beside the link by which the runtime started it.
fn is_uninstalled() -> bool {
    let own = std::env::current_exe().ok();
    let link = std::env::args_os().next().map(PathBuf::from);
    // A relative path may have been looked up in `PATH`.
    let link = link.filter(|path| path.is_absolute() && Some(path) != own.as_ref());
    own.into_iter()
        .chain(link)
        .any(|path| path.with_file_name(UNINSTALLED_MARK).exists())
}

/// Reports a panic as the error object of the call, and ends the process: released programs do not
/// unwind, which keeps them small (profile `plugin`).
#[expect(clippy::exit, reason = "nothing can continue after a panic")]
fn report_panic(panic: &panic::PanicHookInfo<'_>) {
    // There is no place to report that a stream is closed.
    drop(writeln!(io::stderr(), "{panic}"));
    let error = panicked(panic.payload()).to_value(SpecVersion::LATEST);
    drop(writeln!(io::stdout(), "{error}"));
    process::exit(1);
}
