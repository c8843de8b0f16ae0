//! A real cluster: a Kubernetes node, real sidecars, and the documented steps.
//!
//!     make cluster-test                        all stages, in order
//!     make cluster-test ARGS=--keep            then waits until standard input is closed
//!     make cluster-test ARGS=--bare            only the node and its images
//!     make cluster-test ARGS=--meshes          only the stages of several meshes on one node
//!     make cluster-test ARGS=--crio            only the stages on a node with CRI-O
//!     make cluster-test KUBECONFIG=… IMAGE=…   on another cluster, the stages that need only a kubeconfig
//!     make cluster-test ARGS=--images          writes the images that its nodes need first
//!
//! Stages depend on earlier ones, so they run in one process, one after the other. The first failure
//! ends the run; the node is removed in any case. Needs root.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a failed assertion ends the test")]
#![expect(
    clippy::print_stdout,
    reason = "a person who runs the stages follows the progress"
)]

mod check;
mod crio;
mod external_cluster;
mod failures;
mod images;
mod mesh;
mod meshes;
mod migration;
mod pod_kinds;
mod pods;
mod repair;
mod supervisor;
mod test_cluster;
mod verify;
mod walkthrough;
mod workload;

use std::env;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use mesh_cni_tests::NodeRuntime;

use self::external_cluster::ExternalCluster;
use self::test_cluster::TestCluster;

/// A stage: its name and its function.
type Stage = (&'static str, fn(&mut TestCluster));

/// The stage that installs mesh-cni.
const ENABLED: &str = "the plugin is enabled";

/// The stages, in order.
const STAGES: &[Stage] = &[
    ("images are built and imported", |cluster| {
        images::import(&cluster.node);
    }),
    (
        "check: before the installation",
        check::before_the_installation,
    ),
    (ENABLED, mesh::enable),
    (
        "check: after the installation",
        check::after_the_installation,
    ),
    (
        "check: a drifted pod is named",
        check::a_drifted_pod_is_named,
    ),
    ("bookinfo is rolled out", walkthrough::roll_out),
    ("no pod has a privilege", walkthrough::no_pod_is_privileged),
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
        "verify finds the pod, lists its rules and confirms them",
        verify::one_command_instead_of_four_steps,
    ),
    ("verify shows live counters", verify::counters_are_live),
    (
        "verify explains the first difference",
        verify::it_explains_the_first_difference,
    ),
    (
        "verify accepts pods that istio-init programs, and pods without rules",
        verify::it_knows_what_programs_a_pod,
    ),
    ("a namespace for every kind of pod", pod_kinds::prepare),
    ("kind: native sidecar", pod_kinds::native_sidecar),
    ("kind: TPROXY", pod_kinds::tproxy),
    ("kind: DNS capture", pod_kinds::dns_capture),
    ("kind: dual stack", pod_kinds::dual_stack),
    ("kind: job that ends", pod_kinds::job_that_ends),
    (
        "kind: init container with network",
        pod_kinds::init_container_with_network,
    ),
    ("kind: host network", pod_kinds::host_network),
    (
        "a port of the node's loopback address is forwarded",
        pod_kinds::host_network_loopback,
    ),
    (
        "kind: two containers, no proxy",
        pod_kinds::two_containers_without_proxy,
    ),
    ("kind: opted out", pod_kinds::opted_out),
    ("kind: stateful set, re-created", pod_kinds::stateful_set),
    ("kind: a hundred pods at once", pod_kinds::hundred_pods),
    (
        "meshes: validations fail without rules and pass after the repair",
        meshes::validations_fail_without_rules,
    ),
    (
        "meshes: three namespaces are rolled out",
        meshes::three_namespaces_are_rolled_out,
    ),
    (
        "meshes: each proxy sees what it should",
        meshes::each_proxy_sees_what_it_should,
    ),
    (
        "meshes: a pod with two proxies is refused",
        meshes::a_pod_with_two_proxies_is_refused,
    ),
    ("meshes: only Istio is served again", meshes::remove),
    ("failure: kubelet restarts", failures::kubelet_restarts),
    (
        "failure: containerd restarts",
        failures::containerd_restarts,
    ),
    ("failure: the node reboots", failures::node_reboots),
    (
        "failure: another program rewrites the list",
        failures::list_is_rewritten,
    ),
    (
        "failure: the agent is updated under load",
        failures::agent_is_updated,
    ),
    ("failure: the agent is deleted", failures::agent_is_gone),
    (
        "failure: uninstalled and installed again",
        failures::uninstalled_and_installed,
    ),
    (
        "repair: pods that started before the plugin",
        repair::in_place,
    ),
    (
        "migration: Istio CNI beside ours",
        migration::both_are_in_the_list,
    ),
    (
        "migration: both agents write the list",
        migration::both_agents_write_the_list,
    ),
    (
        "migration: Istio CNI leaves first",
        migration::istio_leaves_first,
    ),
    (
        "migration back: ours leaves first",
        migration::ours_leaves_first,
    ),
    (
        "migration back: Istio CNI is only stopped",
        migration::istio_is_only_stopped,
    ),
    (
        "migration back: nothing can be restored",
        migration::a_refused_restoration_leaves_a_working_node,
    ),
    (
        "pods and bundle show the state of the cluster",
        pods::pods_and_bundle_show_the_state_of_the_cluster,
    ),
    (
        "diff names the pods and rules that a configuration changes",
        pods::diff_names_what_a_configuration_changes,
    ),
    (
        "verify by kubeconfig: a pod of any node",
        pods::a_pod_of_any_node_is_verified,
    ),
    (
        "check: a missing entry is named",
        check::a_missing_entry_is_named,
    ),
    (
        "check: a wrong directory is named",
        check::a_wrong_directory_is_named,
    ),
    (
        "check: a node without an agent is named",
        check::a_node_without_an_agent_is_named,
    ),
];

/// The stages on a node with CRI-O.
const CRIO_STAGES: &[Stage] = &[
    ("images are built and imported", crio::import),
    ("the plugin is enabled", mesh::enable),
    ("a pod is redirected", crio::a_pod_is_redirected),
    ("uninstalled", mesh::remove),
    (
        "a pod starts without rules",
        crio::a_pod_starts_without_rules,
    ),
];

fn main() -> ExitCode {
    supervisor::supervise(run, ExternalCluster::put_back)
}

fn run() -> ExitCode {
    let asked = |word: &str| env::args().any(|argument| argument == word);
    let passed = if asked("--images") {
        stage("images are written", images::write_all)
    } else if let Some(external_cluster) = ExternalCluster::of_environment(&env::temp_dir()) {
        run_on(&external_cluster)
    } else {
        let of_meshes = |(name, _): &&Stage| {
            *name == STAGES[0].0 || *name == ENABLED || name.starts_with("meshes: ")
        };
        let stages: Vec<_> = match (asked("--bare"), asked("--meshes")) {
            (true, _) => STAGES[..1].to_vec(),
            (_, true) => STAGES.iter().filter(of_meshes).copied().collect(),
            _ => STAGES.to_vec(),
        };
        let keep = asked("--keep") || asked("--bare");
        let passed = asked("--crio") || run_on_own_node(&stages, keep);
        passed && (keep || asked("--meshes") || run_on_crio())
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs these stages on a new node, and removes the node.
fn run_on_own_node(stages: &[Stage], keep: bool) -> bool {
    let mut started = None;
    let up = stage("the node starts", || {
        started = Some(TestCluster::start(NodeRuntime::Containerd));
    });
    let Some(mut cluster) = started.filter(|_| up) else {
        return false;
    };
    let mut passed = stages
        .iter()
        .all(|(name, run)| stage(name, || run(&mut cluster)));
    if passed && !keep {
        passed = stage("uninstalled", || mesh::remove(&mut cluster))
            && run_stages_on(&ExternalCluster::new(
                cluster.kubectl.clone(),
                images::AGENT,
            ));
    }
    if !passed {
        println!("{}", cluster.report());
    }
    if keep {
        println!(
            "the node runs until standard input is closed; a shell in it:\n  {}",
            cluster.shell()
        );
        drop(io::read_to_string(io::stdin()));
    }
    let gone = stage("the node is removed", || drop(cluster));
    passed && gone
}

/// Runs the short stages on a new node with CRI-O, and removes the node.
fn run_on_crio() -> bool {
    let named = |name: &str| format!("CRI-O: {name}");
    let mut started = None;
    let up = stage(&named("the node starts"), || {
        started = Some(TestCluster::start(NodeRuntime::Crio));
    });
    let Some(mut cluster) = started.filter(|_| up) else {
        return false;
    };
    let passed = CRIO_STAGES
        .iter()
        .all(|(name, run)| stage(&named(name), || run(&mut cluster)));
    if !passed {
        println!("{}", cluster.report());
    }
    let gone = stage(&named("the node is removed"), || drop(cluster));
    passed && gone
}

/// Runs the stages that need only a kubeconfig, on another cluster.
fn run_on(external_cluster: &ExternalCluster) -> bool {
    println!("the cluster of KUBECONFIG:\n{}", external_cluster.who());
    let passed = run_stages_on(external_cluster);
    println!("{}", external_cluster::LEFT_OUT);
    passed
}

fn run_stages_on(external_cluster: &ExternalCluster) -> bool {
    let named = |name: &str| format!("by kubeconfig: {name}");
    let passed = external_cluster::STAGES
        .iter()
        .all(|(name, run)| stage(&named(name), || run(external_cluster)));
    if !passed {
        println!("{}", test_cluster::report(external_cluster.kubectl()));
    }
    stage(&named("everything is removed"), || external_cluster.clear()) && passed
}

/// Runs a stage, prints whether it passed and how long it took, and returns whether it passed.
fn stage(name: &str, run: impl FnOnce()) -> bool {
    let start = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(run)).is_ok();
    let word = if passed { "ok" } else { "FAILED" };
    println!("{word:6} {:6.1} s  {name}", start.elapsed().as_secs_f64());
    passed
}
