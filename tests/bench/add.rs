//! A whole ADD against the floor: the same rules by `nsenter … iptables-nft-restore`. Then a burst
//! of ADDs, and what the rules cost a connection.
//!
//! Each run gets a fresh network namespace. The candidates take turns, so that other load affects
//! all of them alike. Prints medians and ratios, and asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::panic, reason = "a failure ends the benchmark")]

mod agent_socket;
mod binary;
mod burst;
mod connections;
mod measure;
mod table;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use mesh_cni_netfilter::render;
use mesh_cni_netns::NetNs;
use mesh_cni_tests::{Attachment, mesh_cni, productpage_rules};
use serde_json::{Value, json};

use measure::{Sample, measure};

/// How often each candidate runs, unless `RUNS` is set.
const RUNS: usize = 101;

/// One way to apply the rules.
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
    let pods = Pods::new();
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
    println!("{}", burst::burst(&pods.agent.conf.to_string()));
    println!("a new connection, by the length of the list of excluded ports\n");
    print!("{}", connections::connections(runs));
    ExitCode::SUCCESS
}

/// The floor is first: ratios are relative to it. The back ends ask the agent, as on a node.
fn candidates(pods: &Pods) -> Vec<Candidate> {
    let add = |name, source: &Attachment, changes: &[(&str, Value)]| {
        let mut conf = source.conf.clone();
        for (field, value) in changes {
            conf[*field] = value.clone();
        }
        let (command, input): (fn(&Path) -> Command, _) = (plugin, conf.to_string());
        Candidate {
            name,
            command,
            input,
        }
    };
    let by = |name, backend: &str| add(name, &pods.agent, &[("backend", json!(backend))]);
    let from = |name, source| add(name, source, &[("backend", json!("netlink"))]);
    vec![
        Candidate {
            name: "floor: nsenter iptables-nft-restore",
            command: floor,
            input: render::restore(&productpage_rules()),
        },
        by("ADD, netlink, facts from the agent", "netlink"),
        from("ADD, netlink, from a file of JSON", &pods.json),
        from("ADD, netlink, from a file of YAML", &pods.yaml),
        by("ADD, auto", "auto"),
        by("ADD, nft-native", "nft-native"),
        by("ADD, iptables-nft", "iptables-nft"),
        by("ADD, iptables-legacy", "iptables-legacy"),
        add(
            "ADD, excluded namespace",
            &pods.agent,
            &[("exclude_namespaces", json!(["default"]))],
        ),
        Candidate {
            name: "a program that does nothing: true",
            command: |_netns| Command::new("true"),
            input: String::new(),
        },
    ]
}

/// The documented pod, and the sources of its facts.
struct Pods {
    agent: Attachment,
    json: Attachment,
    yaml: Attachment,
}

impl Pods {
    fn new() -> Self {
        let mut agent = Attachment::new("auto");
        agent.conf["pod_source"] = json!("agent");
        agent_socket::listen(&agent.path().join("run"));
        Self {
            agent,
            json: Attachment::of_json("auto"),
            yaml: Attachment::new("auto"),
        }
    }
}

fn floor(netns: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns.display()));
    command.args(["iptables-nft-restore", "--noflush"]);
    command
}

fn plugin(netns: &Path) -> Command {
    Attachment::command("ADD", netns)
}
