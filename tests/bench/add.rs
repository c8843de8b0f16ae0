//! A whole ADD against the floor: the same rules by `nsenter … iptables-nft-restore`; and against
//! the limit: a program that sends the same batch from memory. Then a burst of ADDs.
//!
//! Each run gets a fresh network namespace. The candidates take turns, so that other load affects
//! all of them alike. Prints medians and ratios, and asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::panic, reason = "a failure ends the benchmark")]

mod agent_socket;
mod binary;
mod burst;
mod c_program;
mod limit;
mod measure;
mod table;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_netfilter::render;
use mesh_cni_netns::NetNs;
use mesh_cni_tests::{Attachment, mesh_cni, productpage_rules};
use serde_json::{Value, json};

use measure::{Meter, Sample};

/// How often each candidate runs, unless `RUNS` is set.
const RUNS: usize = 101;

/// One way to apply the rules.
struct Candidate {
    name: &'static str,
    command: Box<dyn Fn(&Path) -> Command>,
    input: String,
}

fn main() {
    let runs = env::var("RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(RUNS);
    let pods = Pods::new();
    let meter = Meter::new();
    let limit = limit::compile();
    let candidates = candidates(&pods, limit.path());
    let mut samples: Vec<Vec<Sample>> = candidates.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for (candidate, samples) in candidates.iter().zip(&mut samples) {
            let netns = NetNs::scratch().expect("the benchmark needs root: run `make bench`");
            let command = (candidate.command)(netns.path());
            samples.push(meter.measure(&command, &candidate.input));
        }
    }
    println!("a whole ADD, {runs} runs each, taking turns, each in a fresh network namespace\n");
    let names = candidates.iter().map(|candidate| candidate.name);
    println!("{}", table::table(names, &samples, REFERENCES));
    println!("{}", binary::binary(&mesh_cni()));
    println!("{}", burst::burst(&pods.agent.conf.to_string()));
}

/// The rows that others are compared with, by their place in [`candidates`].
const REFERENCES: &[(&str, usize)] = &[("floor", 0), ("limit", 1), ("empty", 2)];

/// The back ends ask the agent, as on a node.
fn candidates(pods: &Pods, limit: PathBuf) -> Vec<Candidate> {
    let empty = limit.clone();
    let add = |name, source: &Attachment, changes: &[(&str, Value)]| {
        let mut conf = source.conf.clone();
        for (field, value) in changes {
            conf[*field] = value.clone();
        }
        candidate(name, plugin, conf.to_string())
    };
    let by = |name, backend: &str| add(name, &pods.agent, &[("backend", json!(backend))]);
    let from = |name, source| add(name, source, &[("backend", json!("netlink"))]);
    vec![
        candidate(
            "floor: nsenter iptables-nft-restore",
            floor,
            render::restore(&productpage_rules()),
        ),
        candidate(
            "limit: the same batch from memory",
            move |netns| {
                let mut command = Command::new(&limit);
                command.arg(netns);
                command
            },
            String::new(),
        ),
        candidate(
            "empty: a program that exits",
            move |_netns| Command::new(&empty),
            String::new(),
        ),
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
    ]
}

fn candidate(
    name: &'static str,
    command: impl Fn(&Path) -> Command + 'static,
    input: String,
) -> Candidate {
    Candidate {
        name,
        command: Box::new(command),
        input,
    }
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
