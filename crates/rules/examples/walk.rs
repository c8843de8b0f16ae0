//! Walks one packet through the rules of a pod with the default settings.
//!
//! `cargo run --example walk out tcp 10.0.0.7:9080 uid 1000`
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::process::ExitCode;

use mesh_cni_netfilter::{Packet, walk};
use mesh_cni_rules::istio::{Dialect, Interception, PORT_NAMES, compile};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let text = words.join(" ");
    let packet = match text.parse::<Packet>() {
        Ok(packet) => packet,
        Err(error) => {
            let indent = " ".repeat(error.position - 1);
            eprintln!("{text}\n{indent}^ {error}");
            return ExitCode::from(2);
        }
    };
    let interception = Interception::pod_default();
    let rules = compile(&interception, Dialect::Asm, packet.family());
    print!("{}", walk(&rules, &packet).display(PORT_NAMES));
    ExitCode::SUCCESS
}
