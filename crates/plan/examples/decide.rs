//! Decides for a pod manifest on standard input and prints its rules.
//!
//! `kubectl get pod NAME -o yaml | cargo run --example decide`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::io;

use mesh_cni_netfilter::render;
use mesh_cni_plan::{Decision, MeshConf, decide};
use mesh_cni_selector::PodFacts;

fn main() -> Result<(), Box<dyn Error>> {
    let facts = PodFacts::from_manifest(&io::read_to_string(io::stdin())?)?;
    match decide(&facts, &MeshConf::default())? {
        Decision::OwnPod => println!("skipped: a pod of the agent"),
        Decision::Skip(reason) => println!("skipped: {reason}"),
        Decision::Redirect(redirection) | Decision::Enrol(redirection) => {
            for rules in &redirection.rule_sets {
                println!("{}", render::restore(rules));
            }
        }
    }
    Ok(())
}
