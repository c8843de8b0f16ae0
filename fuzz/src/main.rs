//! Runs one fuzz target: with random input if `cargo-fuzz` builds it, else with the files that are
//! given.
#![cfg_attr(not(fuzzing), forbid(unsafe_code))]
#![cfg_attr(
    fuzzing,
    no_main,
    allow(
        unsafe_code,
        missing_docs,
        reason = "the engine's macro exports a C function"
    )
)]

use mesh_cni_fuzz::{TARGETS, Target};

fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(fuzzing)]
mod engine {
    use std::sync::LazyLock;

    static TARGET: LazyLock<&super::Target> = LazyLock::new(|| {
        let name = std::env::var("TARGET").unwrap_or_default();
        super::find(&name).expect("TARGET names a fuzz target")
    });

    libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
}

#[cfg(not(fuzzing))]
#[expect(
    clippy::print_stdout,
    reason = "names the file that a failure concerns"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    let usage = || format!("usage: mesh-cni-fuzz {} FILE…", names.join("|"));
    let target = arguments
        .next()
        .and_then(|name| find(&name))
        .ok_or_else(usage)?;
    for file in arguments {
        println!("{file}");
        (target.run)(&std::fs::read(file)?);
    }
    Ok(())
}
