//! The API server of the tests is real: it checks rights, and it can be stopped.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use mesh_cni_tests::{Finished, KubeApi, finish, mesh_cnictl};

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [''], resources: [pods], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects:
- {kind: ServiceAccount, name: reader, namespace: default}
";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: without-sidecar, namespace: default}
spec:
  nodeName: node
  containers: [{name: main, image: none}]
";

#[test]
fn a_service_account_has_the_rights_of_its_role_and_no_others() {
    let api = KubeApi::start();
    api.apply(READER);
    api.apply(POD);
    let kubeconfig = api.kubeconfig_of("default", "reader");
    let asked = |words: &str| api.kubectl_as(&kubeconfig, words.split(' '), "");
    let seen = asked("get pods --field-selector spec.nodeName=node -o name");
    assert_eq!(seen.stdout, "pod/without-sidecar\n", "{}", seen.stderr);
    for forbidden in ["delete pod without-sidecar", "get secrets"] {
        let refused = asked(forbidden);
        assert_ne!(refused.code, 0, "{forbidden}");
        assert!(refused.stderr.contains("(Forbidden)"), "{}", refused.stderr);
    }
}

#[test]
fn a_restarted_server_has_its_objects() {
    let mut api = KubeApi::start();
    api.apply(POD);
    let token = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig exists");
    let asked =
        |api: &KubeApi| api.kubectl(["get", "pods", "-o", "name", "--request-timeout=2s"], "");

    api.pause_server();
    let silent = asked(&api);
    assert_ne!(silent.code, 0);
    assert!(!silent.stderr.contains("refused"), "{}", silent.stderr);
    api.resume_server();
    assert_eq!(asked(&api).stdout, "pod/without-sidecar\n");

    api.stop_server();
    let refused = asked(&api);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
    api.start_server();
    assert_eq!(asked(&api).stdout, "pod/without-sidecar\n");
    let now = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig exists");
    assert_eq!(token, now, "credentials stay valid across a restart");
}

#[test]
fn a_panicking_test_leaves_no_processes() {
    let mut directory = None;
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let api = KubeApi::start();
        directory = api.kubeconfig().parent().map(Path::to_owned);
        panic!("a failing test");
    }));
    assert!(panicked.is_err());
    let directory = directory.expect("the server had started");
    assert!(!directory.exists(), "{}", directory.display());
    assert_eq!(processes_that_name(&directory), Vec::<String>::new());
}

const NODES_AND_PODS: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {cloud.google.com/gke-nodepool: pool}}
---
apiVersion: v1
kind: Pod
metadata:
  {name: meshed, namespace: default, annotations: {sidecar.istio.io/status: '{}'}}
spec:
  containers: [{name: main, image: none}, {name: istio-proxy, image: none}]
---
apiVersion: v1
kind: Pod
metadata:
  name: refused
  namespace: default
  annotations:
    sidecar.istio.io/status: '{}'
    traffic.sidecar.istio.io/excludeInboundPorts: http
spec:
  containers: [{name: main, image: none}, {name: istio-proxy, image: none}]
";

fn check(kubeconfig: &Path, flags: &[&str]) -> Finished {
    let mut command = Command::new(mesh_cnictl());
    let command = command.arg("check").arg("--kubeconfig").arg(kubeconfig);
    finish(command.args(flags).env_remove("KUBECONFIG"), "")
}

#[test]
fn a_cluster_is_checked_before_and_after_an_installation() {
    let api = KubeApi::start();
    api.apply(NODES_AND_PODS);
    // More than one page.
    for n in 0..60 {
        let pod = POD.replace("without-sidecar", &format!("without-sidecar-{n}"));
        api.create_pod(&serde_saphyr::from_str(&pod).expect("YAML"));
    }
    let before = check(&api.kubeconfig(), &["--pre"]);
    assert_eq!(before.code, 1, "{}{}", before.stdout, before.stderr);
    for line in [
        "the user may do what an installation needs (12 rights)",
        "namespace `kube-system` does not restrict pods",
        "1 pod would be redirected, 60 skipped (60 no-istio-proxy)",
        "1 pod would be refused: annotation traffic.sidecar.istio.io/excludeInboundPorts",
        "default/refused",
    ] {
        assert!(before.stdout.contains(line), "{line}: {}", before.stdout);
    }
    let after = check(&api.kubeconfig(), &[]);
    assert_eq!(after.code, 1, "{}", after.stderr);
    assert!(
        after
            .stdout
            .contains("namespace `kube-system` has no DaemonSet `mesh-cni-agent`"),
        "{}",
        after.stdout
    );
}

/// Lists that the user may not read are findings, and the others are read all the same.
#[test]
fn a_user_with_few_rights_gets_what_it_may_read() {
    let api = KubeApi::start();
    api.apply(READER);
    api.apply(NODES_AND_PODS);
    let kubeconfig = api.kubeconfig_of("default", "reader");
    let before = check(&kubeconfig, &["--pre"]);
    assert_eq!(before.code, 1, "{}{}", before.stdout, before.stderr);
    for wrong in ["does not exist", "has no nodes", "no other CNI plugin"] {
        assert!(!before.stdout.contains(wrong), "{wrong}: {}", before.stdout);
    }
    for line in [
        "the user lacks 12 rights",
        "cannot read nodes: the API server answered 403",
        "1 pod would be redirected",
    ] {
        assert!(before.stdout.contains(line), "{line}: {}", before.stdout);
    }
}

#[test]
fn a_cluster_that_is_not_reached_is_explained() {
    let mut api = KubeApi::start();
    let context = check(&api.kubeconfig(), &["--context", "other"]);
    assert_eq!(context.code, 3, "{}", context.stderr);
    assert!(
        context.stderr.contains("context `other`") && context.stderr.contains("--context"),
        "{}",
        context.stderr
    );
    let missing = check(Path::new("/none"), &[]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    api.stop_server();
    let refused = check(&api.kubeconfig(), &["--pre"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the API server did not answer")
            && refused.stderr.contains("kubectl version"),
        "{}",
        refused.stderr
    );
}

const CONFIG: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Pod
metadata:
  {name: cart-5c7b6d9f4-abcde, namespace: shop, annotations: {sidecar.istio.io/status: '{}'}}
spec:
  containers: [{name: main, image: none}, {name: istio-proxy, image: none}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: mesh-cni, namespace: kube-system}
data: {entry.json: '{"type": "mesh-cni", "exclude_namespace_selector": "team=shop"}'}
"#;

/// Runs the program on a machine that is not a node.
fn outside(api: &KubeApi, words: &[&str]) -> Finished {
    let mut command = Command::new(mesh_cnictl());
    command.args(words).env_remove("HOME");
    finish(command.env("KUBECONFIG", api.kubeconfig()), "")
}

/// Without flags, as there is no agent and no configuration on this machine.
#[test]
fn a_pod_of_the_cluster_is_named_from_anywhere() {
    let api = KubeApi::start();
    api.apply(NODES_AND_PODS);
    api.apply(POD);
    let defaults = outside(&api, &["select", "--pod", "default/meshed"]);
    assert_eq!(defaults.code, 0, "{}", defaults.stderr);
    let why =
        "warning: ConfigMap kube-system/mesh-cni: it does not exist; the decisions are those of";
    assert!(defaults.stderr.contains(why), "{}", defaults.stderr);

    api.apply(CONFIG);
    let cart = "shop/cart-5c7b6d9f4-abcde";
    let packet = "--packet=out tcp 10.0.0.7:9080";
    let commands: &[(&[&str], i32, &str)] = &[
        (&["render", "--pod", "default/meshed"], 0, ""),
        (&["explain", "--pod", "default/meshed", packet], 0, ""),
        (&["select", "--pod", cart], 1, ""),
        (
            &["select", "--pod", "default/refused"],
            2,
            "excludeInboundPorts",
        ),
        // A Deployment's name, a wrong name, and a wrong namespace.
        (
            &["select", "--pod", "shop/cart"],
            2,
            "the API server knows no pod shop/cart",
        ),
        (&["render", "--pod", "shop/cart"], 2, cart),
        (
            &["select", "--pod", "default/mesht"],
            2,
            "similar names: default/meshed",
        ),
        (&["verify", "--pod", "shpo/cart-5c7b6d9f4-abcde"], 2, cart),
        (
            &["verify", "--pod", "default/meshed"],
            2,
            "is not on a node yet",
        ),
        (
            &["verify", "--pod", "default/without-sidecar"],
            3,
            "node node, where pod default/without-sidecar runs, has no agent in kube-system",
        ),
    ];
    for (words, code, text) in commands {
        let ended = outside(&api, words);
        assert_eq!(ended.code, *code, "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{words:?}: {}", ended.stderr);
    }
}

/// Its port comes from the namespace.
const OF_LINKERD: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {config.linkerd.io/skip-outbound-ports: "3306"}}
---
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop}
spec:
  nodeName: node-1
  containers:
  - {name: main, image: none}
  - {name: linkerd-proxy, image: none, securityContext: {runAsUser: 2102}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: mesh-cni, namespace: kube-system}
data: {entry.json: '{"type": "mesh-cni", "profile": ["asm", "linkerd"]}'}
"#;

#[test]
fn annotations_of_a_namespace_are_settings_of_its_pods_of_linkerd() {
    let api = KubeApi::start();
    api.apply(OF_LINKERD);
    let rendered = outside(&api, &["render", "--pod", "shop/cart"]);
    assert_eq!(rendered.code, 0, "{}", rendered.stderr);
    assert!(
        rendered.stdout.contains("multiport dports 3306 "),
        "{}",
        rendered.stdout
    );
    api.must("annotate namespace shop --overwrite config.linkerd.io/skip-outbound-ports=mysql");
    let rendered = outside(&api, &["render", "--pod", "shop/cart"]);
    let name = "annotation config.linkerd.io/skip-outbound-ports of the namespace";
    assert_eq!(rendered.code, 2, "{}", rendered.stdout);
    assert!(rendered.stderr.contains(name), "{}", rendered.stderr);
    let directory = tempfile::tempdir().expect("a directory");
    let entry = directory.path().join("entry.json");
    fs::write(&entry, r#"{"type": "mesh-cni", "profile": "linkerd"}"#).expect("it is written");
    let entry = entry.display().to_string();
    let before = check(&api.kubeconfig(), &["--pre", "--conf", &entry]);
    assert!(before.stdout.contains("mysql"), "{}", before.stdout);
}

#[test]
fn a_changed_configuration_is_compared_with_the_installed_one() {
    let api = KubeApi::start();
    api.apply(NODES_AND_PODS);
    let directory = tempfile::tempdir().expect("a directory");
    let new = directory.path().join("new.json");
    fs::write(&new, r#"{"type": "mesh-cni"}"#).expect("it is written");
    let new = new.display().to_string();
    let diff = ["diff", "--conf", &new, "--all-namespaces"];
    let unknown = outside(&api, &diff);
    assert_eq!(unknown.code, 3, "{}", unknown.stdout);
    let why = "ConfigMap kube-system/mesh-cni: it does not exist";
    assert!(unknown.stderr.contains(why), "{}", unknown.stderr);

    api.apply(CONFIG);
    let known = outside(&api, &diff);
    assert_eq!(known.code, 1, "{}", known.stderr);
    let change = "1 of 3 pods differ

1 pod: shop/cart-5c7b6d9f4-abcde
  old: skip, the labels of namespace `shop` match `exclude_namespace_selector`";
    assert!(known.stdout.starts_with(change), "{}", known.stdout);
    let other = outside(&api, &["diff", "--conf", &new, "--namespace", "default"]);
    assert_eq!(other.code, 0, "{}{}", other.stdout, other.stderr);
}

/// The command lines of processes that contain this path.
fn processes_that_name(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let processes = fs::read_dir("/proc").expect("the kernel lists processes");
    let lines = processes.filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&*path)).collect()
}
