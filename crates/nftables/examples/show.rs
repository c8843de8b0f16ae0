//! Prints the messages that create the documented rules: `cargo run --example show -- native`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Batch, compat, native};
use mesh_cni_rules::istio::{Dialect, Interception, compile};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = compile(&Interception::pod_default(), Dialect::Asm, Family::V4);
    let changes = match std::env::args().nth(1).as_deref() {
        Some("native") => native::create(&rules)?,
        _ => compat::create(&rules)?,
    };
    for change in &changes {
        println!("{change}");
    }
    let bytes = Batch::new(&changes).encode().bytes().len();
    println!("{} messages, {bytes} bytes", changes.len());
    Ok(())
}
