//! Pods of Kuma.

use mesh_cni_selector::{
    Mesh, NameServers, PodFacts, Policy, SelectError, Selection, SidecarKind, conditions, select,
};

fn policy(meshes: &[Mesh]) -> Policy {
    Policy {
        meshes: meshes.iter().copied().collect(),
        ..Policy::default()
    }
}

/// A pod with these containers, and `more` fields of its metadata and spec.
fn pod(metadata: &str, spec: &str) -> PodFacts {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: demo, namespace: shop, {metadata}}}\nspec: {{{spec}}}\n"
    );
    PodFacts::from_manifest(&manifest).expect("the manifest is valid")
}

const INJECTED: &str = "annotations: {kuma.io/sidecar-injected: 'true'}";
const SIDECAR: &str = "containers: [{name: app}, {name: kuma-sidecar}]";

fn decision(facts: &PodFacts, policy: &Policy) -> String {
    match select(facts, policy) {
        Ok(Selection::Skip(reason)) => format!("{}: {reason}", reason.code()),
        Ok(redirect) => redirect.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn the_first_condition_that_fails_is_the_reason() {
    let native =
        "initContainers: [{name: kuma-sidecar, restartPolicy: Always}], containers: [{name: app}]";
    let cases = [
        pod(INJECTED, SIDECAR),
        pod(INJECTED, native),
        pod(
            INJECTED,
            "initContainers: [{name: kuma-sidecar}], containers: [{name: app}]",
        ),
        pod(INJECTED, "containers: [{name: app}]"),
        pod(
            INJECTED,
            &format!("initContainers: [{{name: kuma-init}}], {SIDECAR}"),
        ),
        // Only an init container of that name redirects the traffic.
        pod(
            INJECTED,
            "containers: [{name: kuma-init}, {name: kuma-sidecar}]",
        ),
        pod(
            INJECTED,
            &format!("initContainers: [{{name: kuma-validation}}], {SIDECAR}"),
        ),
        pod("annotations: {kuma.io/sidecar-injected: 'True'}", SIDECAR),
        pod("labels: {kuma.io/sidecar-injection: enabled}", SIDECAR),
        pod(INJECTED, &format!("hostNetwork: true, {SIDECAR}")),
    ];
    let policy = policy(&[Mesh::Kuma]);
    let decisions: Vec<_> = cases.iter().map(|facts| decision(facts, &policy)).collect();
    insta::assert_snapshot!(decisions.join("\n"), @r"
    redirect, through a sidecar container
    redirect, through a native sidecar
    no-proxy: none of the pod's containers is named `kuma-sidecar`: `app`; init container `kuma-sidecar` has no `restartPolicy: Always`, so it is not a sidecar
    no-proxy: none of the pod's containers is named `kuma-sidecar`: `app`
    init-present: the pod's init containers include `kuma-init`, which redirects its traffic
    redirect, through a sidecar container
    redirect, through a sidecar container
    not-injected: the pod's annotation `kuma.io/sidecar-injected` is `True`, not `true`
    not-injected: the pod has no annotation `kuma.io/sidecar-injected`, so Kuma injected no sidecar
    host-network: the pod has `hostNetwork: true`, so it shares the node's network
    ");
    for facts in &cases {
        let holds = conditions(facts, &policy)
            .iter()
            .all(|condition| condition.holds);
        let redirects = matches!(select(facts, &policy), Ok(Selection::Redirect { .. }));
        assert_eq!(holds, redirects, "{facts:?}");
    }
}

#[test]
fn each_pod_belongs_to_the_mesh_whose_proxy_it_has() {
    let all = policy(&Mesh::ALL);
    let redirect = Selection::Redirect {
        mesh: Mesh::Kuma,
        sidecar: SidecarKind::Container,
    };
    assert_eq!(select(&pod(INJECTED, SIDECAR), &all), Ok(redirect));
    let both = pod(
        INJECTED,
        "containers: [{name: linkerd-proxy}, {name: kuma-sidecar}]",
    );
    let error = select(&both, &all).unwrap_err();
    assert!(
        matches!(error, SelectError::SeveralMeshes { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("`linkerd-proxy` of Linkerd and `kuma-sidecar` of Kuma")
    );
    // A mesh that is not served does not count.
    let decision = decision(&both, &policy(&[Mesh::Istio]));
    assert!(decision.starts_with("no-istio-proxy"), "{decision}");
}

/// Other pods do not need them, and each ADD reads all facts.
#[test]
fn only_pods_of_kuma_have_dns_servers() {
    let native =
        "initContainers: [{name: kuma-sidecar, restartPolicy: Always}], containers: [{name: app}]";
    let other = "containers: [{name: app}, {name: istio-proxy}]";
    let dns = "dnsPolicy: None, dnsConfig: {nameservers: [10.0.0.53]}";
    let own = NameServers::Only(vec!["10.0.0.53".parse().unwrap()]);
    for (containers, expected) in [
        (SIDECAR, &own),
        (native, &own),
        (other, &NameServers::Unknown),
    ] {
        let facts = pod(INJECTED, &format!("{dns}, {containers}"));
        assert_eq!(&facts.name_servers, expected, "{containers}");
    }
}

#[test]
fn the_annotations_of_kuma_are_kept() {
    let facts = pod(
        "annotations: {kuma.io/sidecar-injected: 'true', traffic.kuma.io/transparent-proxy-config: 'a: 1', other.io/a: b}",
        SIDECAR,
    );
    let keys: Vec<_> = facts.only_mesh_settings().annotations.into_keys().collect();
    assert_eq!(
        keys,
        [
            "kuma.io/sidecar-injected",
            "traffic.kuma.io/transparent-proxy-config"
        ]
    );
}
