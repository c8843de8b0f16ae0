//! Proof on a real cluster: a Kubernetes node, real sidecars, the document's own walk-through.
//!
//!     make cluster-test                        every stage, in order
//!     make cluster-test ARGS=--keep            and then waits for the end of its input
//!     make cluster-test ARGS=--bare            the node and its images alone, to try something on
//!     make cluster-test KUBECONFIG=… IMAGE=…   on another cluster: what its kubeconfig suffices for
//!     make cluster-test ARGS=--images          the images that its nodes must have before that
//!
//! Stages build on each other, so they run in one process, one after the other; the first that
//! fails ends the run, and the node goes in any case. Needs root.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a test ends where it fails")]
#![expect(
    clippy::print_stdout,
    reason = "who runs the stages reads how far they are"
)]

mod bad_days;
mod foreign;
mod images;
mod kinds;
mod mesh;
mod repair;
mod supervisor;
mod verify;
mod walkthrough;
mod workload;
mod world;

use std::env;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use self::foreign::Foreign;
use self::world::World;

/// A stage: what it shows, and how.
type Stage = (&'static str, fn(&mut World));

/// What is shown, in order.
const STAGES: &[Stage] = &[
    ("images are made and imported", |world| {
        images::import(&world.node);
    }),
    ("the plugin is enabled", mesh::enable),
    ("bookinfo is rolled out", walkthrough::roll_out),
    ("no pod has a privilege", walkthrough::nobody_is_privileged),
    (
        "requests pass both proxies of each hop",
        walkthrough::requests_pass_both_proxies,
    ),
    (
        "the documented command lists the documented rules",
        walkthrough::the_documented_command_lists_the_documented_rules,
    ),
    (
        "excluded namespaces are set up by istio-init",
        walkthrough::excluded_namespaces_are_set_up_by_istio_init,
    ),
    (
        "one command finds the pod, lists its rules and says that they are as wanted",
        verify::one_command_in_the_place_of_four_steps,
    ),
    ("its counters are live", verify::counters_are_live),
    (
        "it explains the first difference",
        verify::it_explains_the_first_difference,
    ),
    (
        "it knows pods that others set up, and those that nobody does",
        verify::it_knows_who_sets_a_pod_up,
    ),
    ("a namespace for every kind of pod", kinds::prepare),
    ("kind: native sidecar", kinds::native_sidecar),
    ("kind: TPROXY", kinds::tproxy),
    ("kind: DNS capture", kinds::dns_capture),
    ("kind: dual stack", kinds::dual_stack),
    ("kind: job that ends", kinds::job_that_ends),
    (
        "kind: init container with network",
        kinds::init_container_with_network,
    ),
    ("kind: host network", kinds::host_network),
    (
        "kind: two containers, no proxy",
        kinds::two_containers_without_proxy,
    ),
    ("kind: opted out", kinds::opted_out),
    ("kind: stateful set, re-created", kinds::stateful_set),
    ("kind: a hundred pods at once", kinds::hundred_pods),
    ("bad day: kubelet restarts", bad_days::kubelet_restarts),
    (
        "bad day: containerd restarts",
        bad_days::containerd_restarts,
    ),
    ("bad day: the node reboots", bad_days::node_reboots),
    (
        "bad day: another program rewrites the list",
        bad_days::list_is_rewritten,
    ),
    (
        "bad day: the agent is rolled over under load",
        bad_days::agent_is_rolled_over,
    ),
    ("bad day: the agent is gone", bad_days::agent_is_gone),
    (
        "bad day: uninstalled, and installed again",
        bad_days::uninstalled_and_installed,
    ),
    (
        "repair: pods that started before the plugin",
        repair::in_place,
    ),
];

fn main() -> ExitCode {
    supervisor::supervise(run, Foreign::put_back)
}

fn run() -> ExitCode {
    let asked = |word: &str| env::args().any(|argument| argument == word);
    let passed = if asked("--images") {
        stage("images are written", images::write_all)
    } else if let Some(foreign) = Foreign::of_environment(&env::temp_dir()) {
        run_on(&foreign)
    } else {
        let stages = if asked("--bare") { 1 } else { STAGES.len() };
        run_on_own_node(&STAGES[..stages], asked("--keep") || asked("--bare"))
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// These stages, on a node that comes and goes with them.
fn run_on_own_node(stages: &[Stage], keep: bool) -> bool {
    let mut started = None;
    let up = stage("a node comes up", || started = Some(World::start()));
    let Some(mut world) = started.filter(|_| up) else {
        return false;
    };
    let mut passed = stages
        .iter()
        .all(|(name, run)| stage(name, || run(&mut world)));
    if passed && !keep {
        passed = stage("uninstalled for good", || mesh::remove(&mut world))
            && run_stages_on(&Foreign::new(world.kubectl.clone(), images::AGENT));
    }
    if !passed {
        println!("{}", world.report());
    }
    if keep {
        println!(
            "the node lives until the end of input; a shell in it:\n  {}",
            world.shell()
        );
        drop(io::read_to_string(io::stdin()));
    }
    let gone = stage("the node goes", || drop(world));
    passed && gone
}

/// What a kubeconfig suffices for, on somebody else's cluster.
fn run_on(foreign: &Foreign) -> bool {
    println!("the cluster of KUBECONFIG:\n{}", foreign.who());
    let passed = run_stages_on(foreign);
    println!("{}", foreign::LEFT_OUT);
    passed
}

fn run_stages_on(foreign: &Foreign) -> bool {
    let named = |name: &str| format!("by its kubeconfig alone: {name}");
    let passed = foreign::STAGES
        .iter()
        .all(|(name, run)| stage(&named(name), || run(foreign)));
    if !passed {
        println!("{}", world::report(foreign.kubectl()));
    }
    stage(&named("all is taken away again"), || foreign.clear()) && passed
}

/// Runs one, and says whether it passed and how long it took.
fn stage(name: &str, run: impl FnOnce()) -> bool {
    let start = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(run)).is_ok();
    let word = if passed { "ok" } else { "FAILED" };
    println!("{word:6} {:6.1} s  {name}", start.elapsed().as_secs_f64());
    passed
}
