//! Prints the rules of a pod from its annotations, given as KEY=VALUE arguments.
//!
//! `cargo run --example dump traffic.sidecar.istio.io/excludeInboundPorts=22,15020`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::error::Error;

use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Listing, render};
use mesh_cni_rules::istio::{Dialect, OWNERSHIP, PodSettings, compile};

fn main() -> Result<(), Box<dyn Error>> {
    let mut annotations = BTreeMap::new();
    for argument in std::env::args().skip(1) {
        let (key, value) = argument.split_once('=').ok_or("arguments are KEY=VALUE")?;
        annotations.insert(key.to_owned(), value.to_owned());
    }
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let rules = compile(&settings.resolve()?.interception, Dialect::Asm, Family::V4);
    println!("# what iptables-restore reads\n{}", render::restore(&rules));
    println!("# what iptables -t nat -L -n -v --line-numbers -x prints");
    println!("{}", Listing::of(&rules, TableName::Nat, &OWNERSHIP));
    Ok(())
}
