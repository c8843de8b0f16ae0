//! Lists the nat rules of a network namespace in the documented layout, with counters.
//!
//! `cargo run --example list /run/netns/NAME` (needs root)
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::path::PathBuf;

use mesh_cni_netfilter::Listing;
use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_rules::istio::OWNERSHIP;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("usage: list /run/netns/NAME")?;
    let netns = NetNs::open(&path)?;
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let found = read(&netns, &xtables, BackendChoice::Auto, &[Family::V4])?;
    for rules in &found.rule_sets {
        println!("{}", Listing::of(rules, TableName::Nat, &OWNERSHIP));
    }
    Ok(())
}
