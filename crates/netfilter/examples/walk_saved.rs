//! Walks one packet through the rules that `iptables-save` printed.
//!
//! `iptables-save | cargo run --example walk_saved -- out tcp 10.0.0.7:9080 uid 1000`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::io::{self, Read};

use mesh_cni_netfilter::{Packet, PortNames, parse, walk};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let packet = words.join(" ").parse::<Packet>()?;
    let mut saved = String::new();
    io::stdin().read_to_string(&mut saved)?;
    let rules = parse::save(&saved, packet.family())?;
    print!("{}", walk(&rules, &packet).display(PortNames::default()));
    Ok(())
}
