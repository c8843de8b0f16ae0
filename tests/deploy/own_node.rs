//! The admission policies at a real API server: a token of the agent changes only what the agent
//! changes, and only on its own node.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mesh_cni_tests::KubeApi;

use crate::chart::{render, try_render_for};

/// Every right that is granted for the whole cluster, and the names of label and taint.
const RIGHTS: &[&str] = &[
    "repair.repairPods=false",
    "repair.deletePods=true",
    "repair.labelPods=true",
    r#"repair.brokenPodLabelKey="mesh/broken""#,
    r#"taint="mesh-cni/not-ready""#,
    "ambient.enabled=true",
];

/// The policies.
const POLICIES: [&str; 3] = ["mesh-cni-pods", "mesh-cni-pod-status", "mesh-cni-nodes"];

/// Two nodes with a pod each, a pod without a node, and the agent's pod on the first node.
const OBJECTS: &str = r#"
{apiVersion: v1, kind: Node, metadata: {name: here, labels: {zone: a}}, spec: {taints: [
  {key: mesh-cni/not-ready, effect: NoSchedule}, {key: gpu, value: "yes", effect: NoSchedule}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: there}, spec: {taints: [
  {key: mesh-cni/not-ready, effect: NoSchedule}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: own, namespace: default, labels: {app: shop},
  annotations: {note: a}}, spec: {nodeName: here, containers: [{name: main, image: none}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: labelled, namespace: default, labels: {mesh/broken: "true"}},
  spec: {nodeName: here, containers: [{name: main, image: none}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: enrolled, namespace: default, annotations:
  {ambient.istio.io/redirection: enabled}}, spec: {nodeName: here, containers: [{name: main, image: none}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: default},
  spec: {nodeName: there, containers: [{name: main, image: none}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: pending, namespace: default},
  spec: {containers: [{name: main, image: none}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: kube-system},
  spec: {nodeName: here, serviceAccountName: mesh-cni, containers: [{name: main, image: none}]}}
"#;

/// `kubectl patch` gets what it patches; the agent does not.
const GET_STATUS: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: kubectl},
  rules: [{apiGroups: [""], resources: [pods/status], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: kubectl},
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubectl},
  subjects: [{kind: ServiceAccount, name: mesh-cni, namespace: kube-system}]}
"#;

/// Requests of the agent on its own node.
const ALLOWED: &[&str] = &[
    "label pod own mesh/broken=true",
    "label pod labelled mesh/broken-",
    "delete pod own",
    r#"patch node here --type=json --patch=[{"op":"remove","path":"/spec/taints/0"}]"#,
    r#"patch pod own --subresource=status --type=merge --patch={"metadata":{"annotations":{"ambient.istio.io/redirection":"enabled"}}}"#,
    r#"patch pod enrolled --subresource=status --type=merge --patch={"metadata":{"annotations":{"ambient.istio.io/redirection":null}}}"#,
];

const OTHER_POD: &str = "the pod is not on node here";
const OTHER_FIELD: &str = "may change labels of a pod and nothing else";
const OTHER_LABEL: &str = "may change no label but mesh/broken";
const NOT_ANNOTATION: &str = "may change annotations of a pod's status and nothing else";
const OTHER_ANNOTATION: &str = "may change no annotation but ambient.istio.io/redirection";
const OTHER_NODE: &str = "the token is bound to node here";
const NOT_A_TAINT: &str = "may change taints of a node and nothing else";
const OTHER_TAINT: &str = "may remove the taint mesh-cni/not-ready and change no other";

/// Requests that the role allows and a policy refuses, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("label pod other mesh/broken=true", OTHER_POD),
    ("delete pod other", OTHER_POD),
    ("delete pod other --force --grace-period=0", OTHER_POD),
    ("label pod pending mesh/broken=true", OTHER_POD),
    ("delete pod pending", OTHER_POD),
    ("label pod own app=bank --overwrite", OTHER_LABEL),
    ("label pod own app-", OTHER_LABEL),
    ("label pod own mesh/broken=true team=a", OTHER_LABEL),
    ("annotate pod own note=b --overwrite", OTHER_FIELD),
    ("annotate pod own note-", OTHER_FIELD),
    ("annotate pod labelled note=a", OTHER_FIELD),
    (
        r#"patch pod own --type=merge --patch={"metadata":{"finalizers":["example.org/x"]}}"#,
        OTHER_FIELD,
    ),
    (
        r#"patch pod own --type=merge --patch={"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"here","uid":"1"}]}}"#,
        OTHER_FIELD,
    ),
    (
        r#"patch pod own --type=merge --patch={"metadata":{"generateName":"shop-"}}"#,
        OTHER_FIELD,
    ),
    (
        r#"patch pod own --patch={"spec":{"containers":[{"name":"main","image":"another"}]}}"#,
        OTHER_FIELD,
    ),
    (
        r#"patch pod own --type=merge --patch={"spec":{"activeDeadlineSeconds":1}}"#,
        OTHER_FIELD,
    ),
    (
        r#"patch pod other --subresource=status --type=merge --patch={"metadata":{"annotations":{"ambient.istio.io/redirection":"enabled"}}}"#,
        OTHER_POD,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"metadata":{"annotations":{"note":"b"}}}"#,
        OTHER_ANNOTATION,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"metadata":{"annotations":null}}"#,
        OTHER_ANNOTATION,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"metadata":{"labels":{"mesh/broken":"true"}}}"#,
        NOT_ANNOTATION,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"metadata":{"finalizers":["example.org/x"]}}"#,
        NOT_ANNOTATION,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"status":{"phase":"Failed"}}"#,
        NOT_ANNOTATION,
    ),
    (
        r#"patch pod own --subresource=status --type=merge --patch={"status":{"podIP":"10.0.0.9","podIPs":[{"ip":"10.0.0.9"}]}}"#,
        NOT_ANNOTATION,
    ),
    (
        r#"patch node there --type=merge --patch={"spec":{"taints":[]}}"#,
        OTHER_NODE,
    ),
    ("label node there zone=b", OTHER_NODE),
    ("label node here zone=b --overwrite", NOT_A_TAINT),
    ("label node here zone-", NOT_A_TAINT),
    ("annotate node here note=a", NOT_A_TAINT),
    (
        r#"patch node here --type=merge --patch={"spec":{"unschedulable":true}}"#,
        NOT_A_TAINT,
    ),
    (
        r#"patch node here --type=merge --patch={"spec":{"taints":[]}}"#,
        OTHER_TAINT,
    ),
    (
        r#"patch node here --type=json --patch=[{"op":"remove","path":"/spec/taints/1"}]"#,
        OTHER_TAINT,
    ),
    (
        r#"patch node here --type=json --patch=[{"op":"replace","path":"/spec/taints/0/effect","value":"NoExecute"}]"#,
        OTHER_TAINT,
    ),
    (
        r#"patch node here --type=json --patch=[{"op":"replace","path":"/spec/taints/1/value","value":"no"}]"#,
        OTHER_TAINT,
    ),
    (
        r#"patch node here --type=json --patch=[{"op":"add","path":"/spec/taints/-","value":{"key":"a","effect":"NoExecute"}}]"#,
        OTHER_TAINT,
    ),
];

#[test]
fn a_token_changes_only_what_the_agent_changes_on_its_own_node() {
    let api = KubeApi::start();
    api.apply(&render(RIGHTS));
    api.apply(OBJECTS);
    api.apply(GET_STATUS);
    let account = |kind, name| api.kubeconfig_bound("kube-system", "mesh-cni", kind, name);
    let unbound = api.kubeconfig_of("kube-system", "mesh-cni");
    let bound = [("Node", "here"), ("Pod", "agent")].map(|(kind, name)| account(kind, name));

    for words in ALLOWED {
        refused_at_last(&api, &unbound, words, "the token is not bound to a node");
    }
    for account in bound {
        for words in ALLOWED {
            let allowed = dry_run(&api, &account, words);
            assert_eq!(allowed, (0, String::new()), "{words}");
        }
        for (words, reason) in REFUSED {
            let (code, error) = dry_run(&api, &account, words);
            assert_eq!(code, 1, "{words}");
            assert!(error.contains("(Forbidden)"), "{words}: {error}");
            assert!(error.contains(reason), "{words}: {error}");
        }
    }
    for (words, _reason) in REFUSED {
        let (code, error) = dry_run(&api, &api.kubeconfig(), words);
        assert_eq!(code, 0, "an administrator, {words}: {error}");
    }
}

#[test]
fn policies_exist_where_a_right_needs_them_and_the_cluster_has_them() {
    let pods = "repair.labelPods=true";
    let delete = ["repair.repairPods=false", "repair.deletePods=true"];
    let taint = r#"taint="mesh-cni/not-ready""#;
    let [of_pods, of_status, of_nodes] = POLICIES;
    let sets: &[(&str, &[&str], &[&str])] = &[
        ("1.34.0", &[], &[]),
        ("1.34.0", &[pods], &[of_pods]),
        ("1.34.0", &delete, &[of_pods]),
        // Repair in place overrides deletion, so the right to delete is not granted.
        ("1.34.0", &["repair.deletePods=true"], &[]),
        ("1.34.0", &[pods, "repair.enabled=false"], &[]),
        ("1.34.0", &[taint], &[of_nodes]),
        ("1.34.0", &["ambient.enabled=true"], &[of_status]),
        (
            "1.34.0",
            &[r#"profile=["linkerd","ambient"]"#],
            &[of_status],
        ),
        ("1.30.0", RIGHTS, &POLICIES),
        ("1.30.4-gke.100", RIGHTS, &POLICIES),
        ("1.29.9", RIGHTS, &[]),
        (
            "1.34.0",
            &[pods, taint, "admissionPolicy.enabled=false"],
            &[],
        ),
        ("1.34.0", &[pods, taint, "uninstall.enabled=true"], &[]),
    ];
    for (version, options, wanted) in sets {
        let rendered = try_render_for(version, options);
        assert_eq!(
            rendered.code, 0,
            "{version} {options:?}: {}",
            rendered.stderr
        );
        for policy in POLICIES {
            let binding = format!("policyName: {policy}\n");
            assert_eq!(
                rendered.stdout.contains(&binding),
                wanted.contains(&policy),
                "{version} {options:?}: {policy}"
            );
        }
        let policies = rendered.stdout.matches("kind: ValidatingAdmissionPolicy\n");
        assert_eq!(policies.count(), wanted.len(), "{version} {options:?}");
    }
}

/// Waits until the API server applies the policies, which takes a moment, and refuses that.
fn refused_at_last(api: &KubeApi, account: &Path, words: &str, reason: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (_code, error) = dry_run(api, account, words);
        if error.contains(reason) {
            return;
        }
        assert!(Instant::now() < deadline, "{words}: {error}");
        sleep(Duration::from_millis(200));
    }
}

/// The exit code and the errors of `kubectl` with these words, which change nothing.
fn dry_run(api: &KubeApi, account: &Path, words: &str) -> (i32, String) {
    let words = words.split(' ').chain(["--dry-run=server"]);
    let finished = api.kubectl_as(account, words, "");
    let lines = finished.stderr.lines();
    let errors: Vec<_> = lines.filter(|line| !line.starts_with("Warning:")).collect();
    (finished.code, errors.join("\n"))
}
