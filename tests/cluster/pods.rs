//! `mesh-cnictl pods` and `mesh-cnictl bundle`: the state of every pod, with only a kubeconfig.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use mesh_cni_tests::{Finished, finish, mesh_cnictl, must};
use serde_json::Value;

use crate::mesh::EXCLUDED;
use crate::test_cluster::TestCluster;
use crate::workload;

/// A redirected, a skipped and a drifted pod are listed as such, and a support archive has their rules and
/// no secret.
pub(crate) fn pods_and_bundle_show_the_state_of_the_cluster(cluster: &mut TestCluster) {
    let mut drifted = workload::idle("default", "drifted");
    let secret = "s3cr3t-variable";
    drifted["spec"]["containers"][1]["env"] =
        serde_json::json!([{"name": "API_TOKEN", "value": secret}]);
    cluster.kubectl.apply(&drifted.to_string());
    let drifted = cluster.ready("default", "drifted");
    must(
        &cluster.netns(&drifted),
        "iptables-nft -t nat -D ISTIO_INBOUND 6",
    );

    let table = run(cluster, &["pods", "--namespace", "default"]);
    print!("{}", table.stdout);
    let json = run(cluster, &["pods", "--output", "json"]);
    let document: Value = serde_json::from_str(&json.stdout).expect("it prints JSON");
    assert_eq!(
        document["unanswered"],
        serde_json::json!([]),
        "{document:#}"
    );
    let pods = document["pods"].as_array().expect("a list");
    let of = |namespace: &str, name: &str| -> BTreeMap<&str, &str> {
        let mut found = pods.iter().filter(|pod| {
            pod["namespace"] == namespace
                && pod["name"].as_str().is_some_and(|it| it.starts_with(name))
        });
        let pod = found.next().expect("it is listed");
        let fields = ["decision", "rules", "rules_detail", "reason", "mesh"];
        let text = |field: &'static str| Some((field, pod[field].as_str()?));
        fields.into_iter().filter_map(text).collect()
    };
    let productpage = of("default", "productpage");
    assert_eq!(
        (productpage["decision"], productpage["rules"]),
        ("redirect", "yes")
    );
    let skipped = of(EXCLUDED, "self-made");
    assert_eq!(skipped["decision"], "skip", "{skipped:?}");
    let drift = of("default", "drifted");
    assert_eq!((drift["decision"], drift["rules"]), ("redirect", "drifted"));
    assert!(
        drift["rules_detail"].contains("chain ISTIO_INBOUND: rule 6 is missing"),
        "{drift:?}"
    );
    let only = run(
        cluster,
        &["pods", "--rules", "drifted", "--namespace", "default"],
    );
    let lines: Vec<_> = only.stdout.lines().collect();
    assert!(
        lines.len() == 2 && lines[1].starts_with("default/drifted "),
        "{lines:?}"
    );

    bundle_of(cluster, secret);
    cluster.kubectl.must("delete pod drifted");
}

/// With only the new configuration, it is compared with the installed one. The rules of the documented pod
/// change as documented for the other set of rules.
pub(crate) fn diff_names_what_a_configuration_changes(cluster: &mut TestCluster) {
    let installed = cluster
        .kubectl
        .get("configmap mesh-cni --namespace=kube-system");
    let entry = installed["data"]["entry.json"].as_str().expect("a text");
    let mut entry: Value = serde_json::from_str(entry).expect("the entry is JSON");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("entry.json");
    let path = file.display().to_string();
    let diff = |entry: &Value, code| {
        fs::write(&file, entry.to_string()).expect("it can be written");
        let words = ["diff", "--conf", &path, "-A", "--output", "json"];
        let finished = run_with(cluster, &words, code);
        serde_json::from_str::<Value>(&finished.stdout).expect("it prints JSON")
    };
    assert_eq!(diff(&entry, 0)["groups"], serde_json::json!([]));
    entry["ruleset"] = "istio".into();
    let changed = diff(&entry, 1);
    let groups = changed["groups"].as_array().expect("a list");
    let has_productpage = |group: &&Value| {
        let pods = group["pods"].as_array().into_iter().flatten();
        let mut names = pods.filter_map(Value::as_str);
        names.any(|name| name.starts_with("default/productpage"))
    };
    let group = groups.iter().find(has_productpage);
    let group = group.unwrap_or_else(|| panic!("{changed:#}"));
    let rules = group["rules"].as_array().into_iter().flatten();
    let rules: Vec<_> = rules.filter_map(Value::as_str).collect();
    insta::assert_snapshot!(rules.join("\n"), @r"
    - IPv4 nat: -A OUTPUT -p tcp -j ISTIO_OUTPUT
    + IPv4 nat: -A OUTPUT -j ISTIO_OUTPUT
    + IPv4 nat: -A ISTIO_OUTPUT -p udp --dport 15020 -j RETURN
    - IPv4 nat: -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
    + IPv4 nat: -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
    - IPv4 nat: -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
    + IPv4 nat: -A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT
    ");
}

/// Only a kubeconfig is needed: the agent of the pod's node compares.
pub(crate) fn a_pod_of_any_node_is_verified(cluster: &mut TestCluster) {
    let pod = run_with(
        cluster,
        &["verify", "--quiet", "--pod", "default/nothing"],
        2,
    );
    assert!(
        pod.stderr.contains("the API server knows no pod"),
        "{}",
        pod.stderr
    );
    let names = cluster
        .kubectl
        .get("pods --namespace=default --selector=app=details");
    let name = names["items"][0]["metadata"]["name"]
        .as_str()
        .expect("a name");
    let verified = run(cluster, &["verify", "--pod", &format!("default/{name}")]);
    assert!(
        verified.stderr.starts_with("as wanted: default/details"),
        "{}",
        verified.stderr
    );
}

/// The archive has the rules of the drifted pod, and not the value of its variable.
fn bundle_of(cluster: &TestCluster, secret: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bundle.tar.gz");
    let path = file.display().to_string();
    let bundle = run(
        cluster,
        &["bundle", "--pod", "default/drifted", "--file", &path],
    );
    print!("{}", bundle.stdout);
    let mode = fs::metadata(&file)
        .expect("it is written")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&file).arg("-C").arg(directory.path());
    assert_eq!(finish(&mut tar, "").code, 0);
    let root = directory.path().join("mesh-cni-bundle");
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    assert!(read("pods/default_drifted/verify.json").contains("rule 6 is missing"));
    assert!(!read("pods/default_drifted/facts.json").contains(secret));
    assert!(read("cluster/entry.json").contains("\"backend\""));
    let nodes = fs::read_dir(root.join("nodes")).expect("a directory");
    for node in nodes {
        let node = node
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        for name in ["status.json", "agent.log", "metrics.txt", "plugin.log"] {
            assert!(!read(&format!("nodes/{node}/{name}")).is_empty(), "{name}");
        }
        let configurations = fs::read_dir(root.join(format!("nodes/{node}/configurations")));
        assert!(configurations.expect("a directory").count() > 0);
    }
}

/// Runs `mesh-cnictl` with the administrator's kubeconfig. It must succeed.
fn run(cluster: &TestCluster, words: &[&str]) -> Finished {
    run_with(cluster, words, 0)
}

/// The same, with that exit code.
fn run_with(cluster: &TestCluster, words: &[&str], code: i32) -> Finished {
    let kubeconfig = cluster.node.directory().join("admin.kubeconfig");
    let mut command = cluster.node.isolated_host().command(mesh_cnictl());
    let finished = finish(command.args(words).arg("--kubeconfig").arg(kubeconfig), "");
    assert_eq!(finished.code, code, "{words:?}: {}", finished.stderr);
    finished
}
