//! The node agent with a real API server: its time from start to ready, its CPU and memory with 500
//! pods and ten changes per second, and an ADD that asks it against one that reads a file.
//!
//! Prints measurements, and asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::panic, reason = "a failure ends the benchmark")]

mod c_program;
mod measure;
mod process_figures;
mod table;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_netns::NetNs;
use mesh_cni_tests::{
    Agent, Attachment, KubeApi, MANIFESTS, PRODUCTPAGE_NAME, mesh_cni, pod_for_api,
};
use serde_json::{Value, json};

use measure::{Meter, Sample};
use process_figures::Figures;

/// The number of pods on the node.
const PODS: usize = 500;
/// How often the agent is started.
const STARTS: usize = 11;
/// How often each kind of ADD runs.
const RUNS: usize = 101;
/// How long pods change, and how many per second.
const SECONDS: u32 = 10;
const CHANGES: usize = 10;

fn main() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let mut pods: Vec<_> = (1..PODS)
        .map(|index| pod_for_api(&format!("pod-{index}"), true))
        .collect();
    pods.push(pod_for_api(PRODUCTPAGE_NAME, true));
    apply(&api, &pods);
    let mut starts: Vec<_> = (0..STARTS).map(|_| Started::agent(&api)).collect();
    starts.sort_by_key(|start| start.ready);
    let [first, middle, last] = [0, STARTS / 2, STARTS - 1].map(|at| &starts[at]);
    println!(
        "the agent with {PODS} pods, from its start to ready, binary and entry put in place: \
         {:.0} ms in the middle of {STARTS}, {:.0} to {:.0}; {:.0} ms of CPU, {} KiB at most",
        millis(middle.ready),
        millis(first.ready),
        millis(last.ready),
        millis(middle.figures.cpu),
        middle.figures.peak_kib,
    );
    drop(starts);

    let started = Started::agent(&api);
    let before = Figures::of(started.agent.pid());
    let start = Instant::now();
    for second in 0..SECONDS {
        change(&api, &mut pods[..CHANGES], second);
        let next = start + Duration::from_secs(1) * (second + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let (wall, after) = (start.elapsed(), Figures::of(started.agent.pid()));
    println!(
        "{CHANGES} changes a second for {:.0} s: {:.2} % of a core; {after}",
        wall.as_secs_f64(),
        after.cpu.saturating_sub(before.cpu).as_secs_f64() / wall.as_secs_f64() * 100.0,
    );
    println!("\na whole ADD, {RUNS} runs each, taking turns\n");
    print!("{}", adds(&started));
}

/// An agent that is ready.
struct Started {
    agent: Agent,
    /// How long it took to become ready.
    ready: Duration,
    /// What it had used by then.
    figures: Figures,
    _directory: tempfile::TempDir,
}

impl Started {
    fn agent(api: &KubeApi) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
        let command = with_node(
            Agent::installing(&kubeconfig, directory.path()),
            directory.path(),
        );
        let start = Instant::now();
        let agent = Agent::spawn(&command, directory.path());
        while !is_ready(&agent) {
            assert!(start.elapsed().as_secs() < 60, "{}", agent.client().log());
            thread::sleep(Duration::from_millis(1));
        }
        let ready = start.elapsed();
        Self {
            figures: Figures::of(agent.pid()),
            agent,
            ready,
            _directory: directory,
        }
    }
}

fn is_ready(agent: &Agent) -> bool {
    let ready = agent.client().get("/readyz");
    ready.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Makes the agent install on a node in that directory.
fn with_node(mut command: Command, directory: &Path) -> Command {
    let own = |name: &str| {
        let path = directory.join(name);
        fs::create_dir(&path).expect("the directory is new");
        path
    };
    let (bin, conf) = (own("bin"), own("net.d"));
    let list = json!({"cniVersion": "1.0.0", "name": "k8s", "plugins": [{"type": "bridge"}]});
    let written = fs::write(conf.join("10-k8s.conflist"), list.to_string());
    written.expect("the directory can be written");
    command
        .arg("--plugin-binary")
        .arg(mesh_cni())
        .arg("--cni-bin-dir")
        .arg(bin);
    command.arg("--cni-conf-dir").arg(conf);
    command
}

fn apply(api: &KubeApi, pods: &[Value]) {
    api.apply(&json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string());
}

fn change(api: &KubeApi, pods: &mut [Value], to: u32) {
    for pod in &mut *pods {
        pod["metadata"]["annotations"]["changed"] = to.to_string().into();
    }
    apply(api, pods);
}

/// The table of ADDs.
fn adds(started: &Started) -> String {
    let file = Attachment::new("auto");
    let mut agent = file.conf.clone();
    agent["pod_source"] = "agent".into();
    agent["cni_agent_run_dir"] = json!(started.agent.client().run_dir);
    let meter = Meter::new();
    let confs = [file.conf.to_string(), agent.to_string()];
    let mut samples: [Vec<Sample>; 2] = Default::default();
    for _ in 0..RUNS {
        for (conf, samples) in confs.iter().zip(&mut samples) {
            let netns = NetNs::scratch().expect("the benchmark needs root: run `make bench`");
            samples.push(meter.measure(&Attachment::command("ADD", netns.path()), conf));
        }
    }
    table::table(
        ["ADD, pod source file", "ADD, pod source agent"].into_iter(),
        &samples,
        &[("file", 0)],
    )
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
