//! The node agent with a real API server and 500 pods of 1 MiB each that tenants made to exhaust it,
//! under a memory limit of 64 MiB: its time from start to ready, its memory, and its answers.
//!
//! Prints measurements; it fails if the kernel kills the agent.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod process_figures;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_tests::{
    Agent, KubeApi, MANIFESTS, MemoryGroup, PRODUCTPAGE_NAME, hostile_pod, pod_for_api,
};

use process_figures::Figures;

/// The number of hostile pods on the node; the first argument replaces it.
const PODS: usize = 500;
/// The limit, in bytes.
const LIMIT: u64 = 64 << 20;
/// The longest time until the agent is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(1800);

fn main() {
    let count = std::env::args().nth(1).map_or(PODS, |count| {
        count.parse().expect("the argument is a number of pods")
    });
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    for number in 0..count {
        api.create_pod(&hostile_pod(number));
    }
    api.create_pod(&pod_for_api(PRODUCTPAGE_NAME, true));
    println!(
        "{count} pods of 1 MiB, with repair, a limit of {} MiB",
        LIMIT >> 20
    );
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    let group = MemoryGroup::new(LIMIT);
    let start_time = Instant::now();
    let agent = start(&api, &group, directory.path());
    while !agent.client().has_received_its_pods() {
        assert_eq!(group.killed(), 0, "{}", agent.client().log());
        assert!(
            start_time.elapsed() < READY_TIMEOUT,
            "{}",
            agent.client().log()
        );
        thread::sleep(Duration::from_millis(10));
    }
    let ready = start_time.elapsed();
    report(
        &agent,
        &group,
        &format!("ready after {:.1} s", ready.as_secs_f64()),
    );
    let (small, slowest) = ask(&agent, [PRODUCTPAGE_NAME.to_owned()].into_iter());
    println!("a small pod: {small}, {slowest:.0?}");
    let hostile = (0..count.min(60)).map(|number| format!("hostile-{number}"));
    let (answers, slowest) = ask(&agent, hostile);
    report(
        &agent,
        &group,
        &format!("hostile pods, one by one: {answers}, {slowest:.0?} at most"),
    );
}

fn start(api: &KubeApi, group: &MemoryGroup, directory: &Path) -> Agent {
    let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
    let mut command = Agent::command(&kubeconfig, directory);
    command.arg("--repair-enabled=true");
    Agent::spawn(&group.command(&command), directory)
}

/// How many pods the agent answered for, and the longest time of an answer.
fn ask(agent: &Agent, names: impl Iterator<Item = String>) -> (String, Duration) {
    let (mut answered, mut total, mut slowest) = (0, 0, Duration::ZERO);
    for name in names {
        let start = Instant::now();
        let answer = agent.client().get(&format!("/v1/pods/default/{name}"));
        slowest = slowest.max(start.elapsed());
        total += 1;
        answered += usize::from(answer.is_some_and(|text| text.starts_with("HTTP/1.1 200")));
    }
    (
        format!("{answered} of {total} answered with facts"),
        slowest,
    )
}

fn report(agent: &Agent, group: &MemoryGroup, when: &str) {
    assert_eq!(group.killed(), 0, "{}", agent.client().log());
    let figures = Figures::of(agent.pid());
    println!(
        "{when}: {figures}; control group {} KiB, {} KiB at most; {:.1} s of CPU",
        group.current_kib(),
        group.peak_kib(),
        figures.cpu.as_secs_f64(),
    );
}
