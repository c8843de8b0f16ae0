//! Prints why a pod is redirected or not: the selection and every condition of each mode.
//!
//! Reads a manifest from standard input, or uses the embedded one with `--embedded`.

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;

use mesh_cni_selector::{MAX_MANIFEST_BYTES, PodFacts, Policy, SelectionMode, conditions, select};

const EMBEDDED: &str = include_str!("../tests/manifests/productpage.yaml");

fn main() -> ExitCode {
    match explain() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the error cannot be reported.
            let _ = writeln!(std::io::stderr(), "why: {error}");
            ExitCode::FAILURE
        }
    }
}

fn explain() -> Result<(), Box<dyn Error>> {
    let facts = PodFacts::from_manifest(&manifest()?)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "pod {}/{}", facts.namespace, facts.name)?;
    for mode in SelectionMode::ALL {
        let policy = Policy {
            selection: mode,
            ..Policy::default()
        };
        writeln!(out, "\n{mode}: {}", select(&facts, &policy)?)?;
        for condition in conditions(&facts, &policy) {
            let mark = if condition.holds { "yes" } else { "no" };
            writeln!(out, "  {mark:<3} {:<40} {}", condition.name, condition.fact)?;
        }
    }
    Ok(())
}

fn manifest() -> Result<String, Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("--embedded") {
        return Ok(EMBEDDED.to_owned());
    }
    let mut text = String::new();
    let limit = MAX_MANIFEST_BYTES as u64 + 1;
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_string(&mut text)?;
    Ok(text)
}
