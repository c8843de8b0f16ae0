//! Pods of several meshes under one policy.

use mesh_cni_selector::{
    Mesh, MeshSet, PodFacts, Policy, RestartPolicy, SelectError, Selection, SidecarKind, select,
};

use crate::support::{code, container, meshed};

fn all() -> Policy {
    Policy {
        meshes: MeshSet::from_iter([Mesh::Istio, Mesh::Linkerd, Mesh::Kuma]),
        ..Policy::default()
    }
}

fn only(mesh: Mesh) -> Policy {
    Policy {
        meshes: mesh.into(),
        ..Policy::default()
    }
}

fn with(containers: &[&str]) -> PodFacts {
    PodFacts {
        namespace: "shop".into(),
        name: "web".into(),
        containers: containers.iter().map(|name| container(name)).collect(),
        ..PodFacts::default()
    }
}

#[test]
fn a_pod_belongs_to_the_mesh_whose_proxy_it_has() {
    for (pod, mesh) in [
        (with(&["web", "linkerd-proxy"]), Mesh::Linkerd),
        (meshed(), Mesh::Istio),
    ] {
        for policy in [all(), only(mesh)] {
            let sidecar = SidecarKind::Container;
            let redirect = Selection::Redirect { mesh, sidecar };
            assert_eq!(select(&pod, &policy), Ok(redirect));
        }
    }
}

#[test]
fn a_proxy_of_a_mesh_that_is_not_served_does_not_count() {
    let pod = with(&["web", "linkerd-proxy"]);
    assert_eq!(code(&pod, &only(Mesh::Istio)), "no-istio-proxy");
    assert_eq!(code(&pod, &only(Mesh::Kuma)), "no-proxy");
    let mut both = meshed();
    both.containers.push(container("linkerd-proxy"));
    assert_eq!(code(&both, &Policy::default()), "redirect");
}

#[test]
fn a_pod_without_a_proxy_is_skipped_with_the_names_of_all_proxies() {
    let mut pod = with(&["web"]);
    pod.init_containers.push(container("linkerd-proxy"));
    let selection = select(&pod, &all()).unwrap();
    insta::assert_snapshot!(selection, @"skip, none of the pod's containers is named `istio-proxy` or `linkerd-proxy` or `kuma-sidecar`: `web`; init container `linkerd-proxy` has no `restartPolicy: Always`, so it is not a sidecar");
    assert_eq!(code(&pod, &all()), "no-proxy");
}

#[test]
fn a_pod_with_the_proxies_of_two_meshes_is_refused() {
    let mut pod = meshed();
    pod.containers.push(container("linkerd-proxy"));
    let error = select(&pod, &all()).unwrap_err();
    insta::assert_snapshot!(error, @"the pod has the proxies of several meshes: `istio-proxy` of Istio and `linkerd-proxy` of Linkerd");
    assert!(matches!(error, SelectError::SeveralMeshes { .. }));
    let kuma = with(&["kuma-sidecar", "web", "linkerd-proxy"]);
    assert!(select(&kuma, &all()).is_err());

    // Rules are not written for these at all.
    pod.host_network = true;
    assert_eq!(code(&pod, &all()), "host-network");
    pod.host_network = false;
    pod.namespace = "kube-system".into();
    assert_eq!(code(&pod, &all()), "namespace-excluded");
}

#[test]
fn a_gateway_of_istio_may_be_in_another_mesh() {
    let mut pod = meshed();
    pod.containers[1].args = vec!["proxy".into(), "router".into()];
    assert_eq!(code(&pod, &all()), "not-a-sidecar-proxy");
    pod.containers.push(container("linkerd-proxy"));
    let mesh = select(&pod, &all()).map(|selection| match selection {
        Selection::Redirect { mesh, .. } => Some(mesh),
        Selection::Enrol | Selection::Skip(_) => None,
    });
    assert_eq!(mesh, Ok(Some(Mesh::Linkerd)));
}

#[test]
fn linkerd_has_its_own_conditions() {
    let mut pod = with(&["web", "linkerd-proxy"]);
    pod.labels
        .insert("sidecar.istio.io/inject".into(), "false".into());
    assert_eq!(code(&pod, &all()), "redirect");
    // An ordinary container with the name of the init container does not count.
    pod.containers.push(container("linkerd-init"));
    assert_eq!(code(&pod, &all()), "redirect");
    pod.init_containers.push(container("linkerd-init"));
    assert_eq!(code(&pod, &all()), "init-present");

    let mut native = with(&["web"]);
    native.init_containers.push(container("linkerd-proxy"));
    assert_eq!(code(&native, &only(Mesh::Linkerd)), "no-proxy");
    native.init_containers[0].restart_policy = RestartPolicy::Always;
    assert_eq!(code(&native, &only(Mesh::Linkerd)), "redirect");
    assert_eq!(code(&with(&["linkerd-proxy"]), &all()), "redirect");
}
