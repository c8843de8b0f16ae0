//! Migration from Istio CNI and back: whichever leaves first, every new pod is redirected by one of
//! the two.

use std::fs;
use std::path::PathBuf;

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{IstioCni, productpage_rules, wait_for_change};
use serde_json::{Value, json};

use crate::test_cluster::{MOST, TestCluster};
use crate::workload;
use crate::{images, mesh};

const REPLACE: &[&str] = &["--replace-istio-cni"];
const RESTORE: &[&str] = &["--restore-istio-cni"];

/// Without the option, our agent changes nothing in a list that names Istio CNI.
pub(crate) fn both_are_in_the_list(cluster: &mut TestCluster) {
    start_istio(cluster);
    assert!(mesh::is_listed(cluster), "{}", mesh::list(cluster));
    assert!(istio_redirects(cluster, "beside"));
}

/// Both agents write the list, and ours yields. Pods start at every moment of it.
pub(crate) fn both_agents_write_the_list(cluster: &mut TestCluster) {
    mesh::install(cluster, REPLACE);
    start_pods(cluster, "before");
    let folder = mesh::list_path(cluster);
    let folder = folder.parent().expect("the list is in a folder");
    wait_for_change(folder, MOST, "our agent does not yield", || {
        let log = agent_log(cluster, "agent");
        log.contains("another program writes").then_some(())
    });
    start_pods(cluster, "after");
}

/// Istio CNI uninstalls itself, and our agent is ready after its next attempt.
pub(crate) fn istio_leaves_first(cluster: &mut TestCluster) {
    stop_istio(cluster);
    mesh::rolled_out(cluster);
    assert!(mesh::is_listed(cluster), "{}", mesh::list(cluster));
    assert!(!istio_redirects(cluster, "migrated"));
}

/// Istio CNI is installed again, then ours is uninstalled.
pub(crate) fn ours_leaves_first(cluster: &mut TestCluster) {
    start_istio(cluster);
    let log = uninstall(cluster);
    assert!(log.contains("names istio-cni already"), "{log}");
    assert!(istio_redirects(cluster, "back"));
}

/// Istio's agent is stopped without uninstalling, and the entry that ours replaced is restored.
pub(crate) fn istio_is_only_stopped(cluster: &mut TestCluster) {
    mesh::install(cluster, REPLACE);
    fs::write(run_dir(cluster).join("retain"), "").expect("the node's /run can be written");
    stop_istio(cluster);
    mesh::rolled_out(cluster);
    assert!(!istio_redirects(cluster, "again"));
    let log = uninstall(cluster);
    assert!(log.contains("istio-cni replaces mesh-cni"), "{log}");
    assert!(istio_redirects(cluster, "restored"));
}

/// Istio's binary is gone, so its entry is not restored: pods start, and the warning says why they are
/// not redirected.
pub(crate) fn a_refused_restoration_leaves_a_working_node(cluster: &mut TestCluster) {
    mesh::install(cluster, REPLACE);
    mesh::rolled_out(cluster);
    fs::remove_file(istio(cluster).binary()).expect("Istio's binary exists");
    assert!(!istio_redirects(cluster, "without-istio"));
    let log = uninstall(cluster);
    assert!(
        log.contains("warning: istio-cni is not restored in"),
        "{log}"
    );
    assert!(!istio(cluster).is_installed(), "{}", mesh::list(cluster));
    let pod = workload::idle("default", "without-mesh");
    cluster.kubectl.apply(&pod.to_string());
    let pod = cluster.ready("default", "without-mesh");
    assert_eq!(cluster.live_rules(&pod).tables.len(), 0);
    remove_pods(cluster);

    mesh::enable(cluster);
    assert!(!istio_redirects(cluster, "with-mesh"));
}

/// Starts pods at the same time, which must have their rules.
fn start_pods(cluster: &TestCluster, prefix: &str) {
    const PODS: usize = 6;
    let pods: Vec<_> = (0..PODS).map(|n| format!("{prefix}-{n}")).collect();
    let manifests = pods.iter().map(|name| workload::idle("default", name));
    cluster
        .kubectl
        .apply(&workload::list(manifests).to_string());
    for name in &pods {
        assert_redirected(cluster, name);
    }
    remove_pods(cluster);
}

/// Starts a pod, which must have its rules, and returns whether Istio's plugin was called.
fn istio_redirects(cluster: &TestCluster, name: &str) -> bool {
    let pod = workload::idle("default", name);
    cluster.kubectl.apply(&pod.to_string());
    assert_redirected(cluster, name);
    remove_pods(cluster);
    let calls = fs::read_to_string(run_dir(cluster).join("calls")).unwrap_or_default();
    let pod = format!("default/{name}");
    calls.lines().any(|line| line == pod)
}

/// The pod starts with its rules. A repair would hide that it did not.
fn assert_redirected(cluster: &TestCluster, name: &str) {
    let pod = cluster.ready("default", name);
    let live_rules = cluster.live_rules(&pod);
    let difference = drift(&productpage_rules(), &live_rules, &OWNERSHIP);
    assert_eq!(difference, None, "{name}: {}", mesh::list(cluster));
    let repairs = cluster.kubectl.get(&format!(
        "events --namespace=default \
         --field-selector=involvedObject.name={name},reason=Repaired"
    ));
    assert_eq!(repairs["items"], json!([]));
}

fn remove_pods(cluster: &TestCluster) {
    cluster
        .kubectl
        .must("delete pods --selector=idle --wait=false");
}

/// Uninstalls mesh-cni, and returns what that printed.
fn uninstall(cluster: &TestCluster) -> String {
    mesh::uninstall(cluster, RESTORE);
    agent_log(cluster, "uninstall")
}

/// What a container of the agents' pods printed; empty if there is none.
fn agent_log(cluster: &TestCluster, container: &str) -> String {
    let words = [
        "logs",
        "--namespace=kube-system",
        "--selector=app.kubernetes.io/component=agent",
        "--tail=-1",
        "--container",
        container,
    ];
    cluster.kubectl.run(words, "").stdout
}

/// Starts Istio's agent, and waits for its entry.
fn start_istio(cluster: &TestCluster) {
    cluster.kubectl.apply(&istio_manifests().to_string());
    let istio = istio(cluster);
    let folder = mesh::list_path(cluster);
    let folder = folder.parent().expect("the list is in a folder");
    wait_for_change(folder, MOST, "istio-cni is not installed", || {
        istio.is_installed().then_some(())
    });
}

/// Removes Istio's agent, which uninstalls itself.
fn stop_istio(cluster: &TestCluster) {
    cluster.kubectl.must(
        "delete daemonset istio-cni-node --namespace=istio-system --cascade=foreground --wait",
    );
}

fn istio(cluster: &TestCluster) -> IstioCni {
    let bin_dir = cluster.node.isolated_host().path("/opt/cni/bin");
    IstioCni::of(mesh::list_path(cluster), &bin_dir)
}

/// The directory with the files of Istio's plugin.
fn run_dir(cluster: &TestCluster) -> PathBuf {
    cluster.node.isolated_host().path("/run/istio-cni")
}

fn istio_manifests() -> Value {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}
    });
    let labels = json!({"k8s-app": "istio-cni-node"});
    let directories = [
        ("conf", "/etc/cni/net.d"),
        ("bin", "/opt/cni/bin"),
        ("run", "/run/istio-cni"),
    ];
    let volumes = directories.map(|(name, path)| {
        json!({"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}})
    });
    let mounts =
        directories.map(|(name, _)| json!({"name": name, "mountPath": format!("/host/{name}")}));
    let daemon_set = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "istio-cni-node", "namespace": "istio-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{
                        "name": "install-cni",
                        "image": images::ISTIO_CNI,
                        "imagePullPolicy": "Never",
                        "args": ["/host/conf/10-node.conflist", "/host/bin", "/host/run"],
                        "volumeMounts": mounts,
                    }],
                    "volumes": volumes,
                    "terminationGracePeriodSeconds": 30,
                },
            },
        },
    });
    workload::list([namespace, daemon_set])
}
