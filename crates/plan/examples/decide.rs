//! Decides for a pod manifest on standard input and prints its rules.
//!
//! `kubectl get pod NAME -o yaml | cargo run --example decide`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::io;

use mesh_cni_plan::{MeshConf, Plan, plan};
use mesh_cni_rules::render;
use mesh_cni_selector::PodFacts;

fn main() -> Result<(), Box<dyn Error>> {
    let facts = PodFacts::from_manifest(&io::read_to_string(io::stdin())?)?;
    match plan(&facts, &MeshConf::default(), &[])? {
        Plan::Skip(reason) => println!("left alone: {reason}"),
        Plan::Redirect(redirection) => {
            for rules in &redirection.rule_sets {
                println!("{}", render::restore(rules));
            }
        }
    }
    Ok(())
}
