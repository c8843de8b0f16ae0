//! The rendered objects at a real API server: it accepts them, and they grant the needed rights and
//! no others.

use mesh_cni_tests::KubeApi;
use serde_json::Value;

use crate::agent::Mounted;
use crate::chart::render;

/// The custom resource definition of Multus.
pub(crate) const ATTACHMENTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: network-attachment-definitions.k8s.cni.cncf.io}
spec:
  group: k8s.cni.cncf.io
  scope: Namespaced
  names: {plural: network-attachment-definitions, singular: network-attachment-definition, kind: NetworkAttachmentDefinition}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {config: {type: string}}}}}}
";

/// A pod of the node.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: without-sidecar, namespace: default}
spec:
  nodeName: node
  containers: [{name: main, image: none}]
";

/// Each set of values, and the rights that it grants, as `VERB RESOURCE`.
const RIGHTS: &[(&[&str], &str)] = &[
    (&[], "create events; get,list,watch pods"),
    (
        &["repair.enabled=false"],
        "create events; get,list,watch pods",
    ),
    (
        &[
            "repair.enabled=false",
            r#"excludeNamespaceSelector="mesh=off""#,
        ],
        "create events; get,list,watch namespaces; get,list,watch pods",
    ),
    (
        &["repair.enabled=false", r#"profile=["asm","linkerd"]"#],
        "create events; get,list,watch namespaces; get,list,watch pods",
    ),
    (
        &["repair.enabled=false", r#"profile=["asm","kuma"]"#],
        "create events; get,list,watch pods",
    ),
    (
        &["repair.enabled=false", r#"profile="ambient""#],
        "create events; get,list,watch namespaces; get,list,watch pods; patch pods/status",
    ),
    (
        &["ambient.enabled=true", "repair.labelPods=true"],
        "create events; get,list,watch namespaces; get,list,watch pods; patch pods; patch pods/status",
    ),
    (&["ambient.enabled=true", "uninstall.enabled=true"], ""),
    (
        &["repair.repairPods=false", "repair.deletePods=true"],
        "create events; delete pods; get,list,watch pods",
    ),
    (
        &["repair.deletePods=true", "repair.labelPods=true"],
        "create events; get,list,watch pods; patch pods",
    ),
    (
        &["repair.enabled=false", r#"taint="mesh-cni/not-ready""#],
        "create events; get,list,watch pods; get,patch nodes",
    ),
    (
        &[
            "uninstall.enabled=true",
            "repair.labelPods=true",
            r#"taint="mesh-cni/not-ready""#,
        ],
        "",
    ),
];

#[test]
fn the_api_server_accepts_every_object_and_field() {
    let api = KubeApi::start();
    api.apply(ATTACHMENTS);
    let established = "wait --for=condition=Established crd --all --timeout=60s";
    api.must(established);
    for options in [
        &[][..],
        &[
            r#"platform="openshift""#,
            r#"excludeNamespaceSelector="mesh=off""#,
        ],
        &[
            r#"platform="gke""#,
            "hostNetwork=false",
            "networkPolicy.enabled=true",
            "grafanaDashboard.enabled=true",
            r#"appArmorProfile={"type":"Unconfined"}"#,
        ],
        &["uninstall.enabled=true"],
        &["ambient.enabled=true", "istioUntaintLabel=true"],
        &[
            "repair.repairPods=false",
            "repair.deletePods=true",
            "repair.labelPods=true",
            r#"taint="mesh-cni/not-ready""#,
        ],
    ] {
        let words = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let taken = api.kubectl(words, &render(options));
        assert_eq!(taken.code, 0, "{options:?}: {}", taken.stderr);
        assert_eq!(taken.stderr, "", "{options:?}: no warning either");
    }
}

#[test]
fn an_account_has_the_rights_of_its_values_and_no_others() {
    let api = KubeApi::start();
    for (options, wanted) in RIGHTS {
        api.apply(&render(options));
        let role = api.get("clusterrole mesh-cni");
        assert_eq!(rights(&role), *wanted, "{options:?}");
        let account = "--as=system:serviceaccount:kube-system:mesh-cni";
        let may = |words: &str| {
            let words = format!("auth can-i {words} {account} --all-namespaces");
            api.kubectl(words.split(' '), "").stdout.trim() == "yes"
        };
        assert_eq!(may("watch pods"), wanted.contains("pods"), "{options:?}");
        assert_eq!(
            may("watch namespaces"),
            wanted.contains("namespaces"),
            "{options:?}"
        );
        for never in [
            "get secrets",
            "create pods",
            "update nodes",
            "create pods --subresource=exec",
        ] {
            assert!(!may(never), "{options:?}: {never}");
        }
    }
}

#[test]
fn the_agent_works_with_its_role_and_names_a_missing_right() {
    let options = [r#"excludeNamespaceSelector="mesh=off""#];
    let api = KubeApi::start();
    api.apply(&render(&options));
    let account = api.kubeconfig_of("kube-system", "mesh-cni");
    let follows = |log: &str, path: &str| {
        let mut lines = log.lines().filter(|line| line.contains("watch: started"));
        lines.any(|line| line.contains(path))
    };
    let node = Mounted::render(&options);
    node.run_with(&account, |log| {
        follows(log, "/api/v1/pods") && follows(log, "/api/v1/namespaces")
    })
    .end();

    let without = |resource: &str, verbs: &str| {
        let role = render(&options).replace(
            &format!("resources: [{resource}]\n    verbs: [get, list, watch]"),
            &format!("resources: [{resource}]\n    verbs: [{verbs}]"),
        );
        api.apply(&role);
        let node = Mounted::render(&options);
        let refused = format!("cannot {} resource \"{resource}\"", missing(verbs));
        node.run_with(&account, |log| log.contains(&refused)).end();
    };
    for resource in ["pods", "namespaces"] {
        without(resource, "get, watch");
        without(resource, "get, list");
    }
}

/// A pod that no watch has delivered is requested; without the right to get it, the plugin receives the
/// name of the missing right.
#[test]
fn each_get_right_is_needed_before_the_watch_delivers() {
    let options = [r#"excludeNamespaceSelector="mesh=off""#];
    let api = KubeApi::start();
    api.apply(&render(&options));
    let account = api.kubeconfig_of("kube-system", "mesh-cni");
    let words = "create -f - --output=jsonpath={.metadata.uid}";
    let uid = api.kubectl(words.split(' '), POD).stdout;
    // Replaces the verbs of the resource and returns the agent's answer about the pod.
    let answer = |resource: &str, verbs: &str| {
        let role = render(&options).replace(
            &format!("resources: [{resource}]\n    verbs: [get, list, watch]"),
            &format!("resources: [{resource}]\n    verbs: [{verbs}]"),
        );
        api.apply(&role);
        let node = Mounted::render(&options);
        let agent = node.run_with(&account, |log| log.contains("cannot list resource"));
        let answer = node.ask(&format!("/v1/pods/default/without-sidecar?uid={uid}"));
        agent.end();
        answer
    };
    for resource in ["pods", "namespaces"] {
        let fetched = answer(resource, "get");
        assert!(fetched.starts_with("HTTP/1.1 200"), "{resource}: {fetched}");
        let refused = answer(resource, "watch");
        assert!(refused.starts_with("HTTP/1.1 503"), "{resource}: {refused}");
        let missing = format!("cannot get resource \\\"{resource}\\\"");
        assert!(refused.contains(&missing), "{resource}: {refused}");
    }
}

/// The verb of a watch that is missing from these verbs.
fn missing(verbs: &str) -> &'static str {
    if verbs.contains("watch") {
        "list"
    } else {
        "watch"
    }
}

/// The rules of a role, ordered by resource.
fn rights(role: &Value) -> String {
    let words = |list: &Value| {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    let rules = role["rules"].as_array().into_iter().flatten();
    let mut rules: Vec<_> = rules
        .map(|rule| format!("{} {}", words(&rule["verbs"]), words(&rule["resources"])))
        .collect();
    rules.sort();
    rules.join("; ")
}
