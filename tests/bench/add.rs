//! A whole ADD beside its floor: the same rules by `nsenter … iptables-nft-restore`. Then a burst of
//! them, and what the rules cost a connection.
//!
//! Each run gets a fresh network namespace. The candidates take turns, so that whatever else the
//! machine does meets them all alike. Prints medians and ratios; asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::panic, reason = "a benchmark ends where it fails")]

mod binary;
mod burst;
mod connections;
mod measure;
mod table;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use mesh_cni_netns::NetNs;
use mesh_cni_rules::render;
use mesh_cni_tests::{Attachment, mesh_cni, productpage_rules};
use serde_json::{Value, json};

use measure::{Sample, measure};

/// How often each candidate runs, unless `RUNS` says otherwise.
const RUNS: usize = 101;

/// One way to make the rules stand.
struct Candidate {
    name: &'static str,
    command: fn(&Path) -> Command,
    input: String,
}

fn main() -> ExitCode {
    if let Some(code) = measure::as_measured_child() {
        return code;
    }
    let runs = env::var("RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(RUNS);
    let pods = Attachment::new("auto");
    let candidates = candidates(&pods);
    let mut samples: Vec<Vec<Sample>> = candidates.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for (candidate, samples) in candidates.iter().zip(&mut samples) {
            let netns = NetNs::scratch().expect("the benchmark needs root: run `make bench`");
            let command = (candidate.command)(netns.path());
            samples.push(measure(&command, &candidate.input));
        }
    }
    println!("a whole ADD, {runs} runs each, taking turns, each in a fresh network namespace\n");
    let names = candidates.iter().map(|candidate| candidate.name);
    println!("{}", table::table(names, &samples));
    println!("{}", binary::binary(&mesh_cni()));
    println!("{}", burst::burst(&pods.conf.to_string()));
    println!("a new connection, by the length of the list of excluded ports\n");
    print!("{}", connections::connections(runs));
    ExitCode::SUCCESS
}

/// The floor comes first: ratios are against it.
fn candidates(pods: &Attachment) -> Vec<Candidate> {
    let with = |field: &str, value: Value| {
        let mut conf = pods.conf.clone();
        conf[field] = value;
        conf.to_string()
    };
    vec![
        Candidate {
            name: "floor: nsenter iptables-nft-restore",
            command: floor,
            input: render::restore(&productpage_rules()),
        },
        Candidate {
            name: "ADD, auto",
            command: plugin,
            input: pods.conf.to_string(),
        },
        Candidate {
            name: "ADD, netlink",
            command: plugin,
            input: with("backend", json!("netlink")),
        },
        Candidate {
            name: "ADD, nft-native",
            command: plugin,
            input: with("backend", json!("nft-native")),
        },
        Candidate {
            name: "ADD, iptables-nft",
            command: plugin,
            input: with("backend", json!("iptables-nft")),
        },
        Candidate {
            name: "ADD, iptables-legacy",
            command: plugin,
            input: with("backend", json!("iptables-legacy")),
        },
        Candidate {
            name: "ADD, excluded namespace",
            command: plugin,
            input: with("exclude_namespaces", json!(["default"])),
        },
    ]
}

fn floor(netns: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns.display()));
    command.args(["iptables-nft-restore", "--noflush"]);
    command
}

fn plugin(netns: &Path) -> Command {
    let mut command = Command::new(mesh_cni());
    command
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", "0123456789abcdef")
        .env("CNI_NETNS", netns)
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin")
        .env("CNI_ARGS", Attachment::args());
    command
}
