//! Repair in place: the running pod's namespace is programmed, and no container restarts.

use mesh_cni_netfilter::{Family, drift};
use mesh_cni_netns::Change;
use mesh_cni_rules::{Interception, Mesh, kuma, linkerd, ownership};
use serde_json::json;

use crate::broken_pod::{BrokenPod, create, failing, meshed, set_status};
use crate::cluster::Cluster;

/// The chart's default flags, and a log that also names pods that are not changed.
const DEBUG: &[&str] = &["--plugin-log-level", "debug"];

const REPAIRED: &str = r#"mesh_cni_repairs_total{type="repair",result="success"} 1"#;

#[test]
fn a_pod_that_started_before_the_agent_is_repaired_in_place() {
    let mut cluster = Cluster::new(&[]);
    let mut cart = BrokenPod::create(&cluster.api, "cart");
    assert!(cart.has_no_rules());
    let pid = cart.pid();
    cluster.start_agent(DEBUG);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(cart.difference(), None);
    assert!(cart.runs() && cart.pid() == pid, "no process restarts");
    cluster.wait_for_log(&["pod=\"cart\"", "namespace=\"default\"", "were applied with"]);
    let event = cluster.events(&cart.uid);
    assert_eq!(event.len(), 1, "{event:?}");
    let expected =
        "Normal Repaired: it started without rules; 19 IPv4 rules and 19 IPv6 rules were applied";
    assert!(event[0].starts_with(expected), "{event:?}");
    let status = cluster.status();
    assert_eq!(status["remedies"], json!(["repair"]));
    assert_eq!((&status["done"], &status["broken"]), (&json!(1), &json!(0)));

    // A second check changes nothing: neither rules nor Events.
    cluster.api.must("label pod cart seen=again");
    cluster.wait_for_log_lines("nothing to do: it has its rules", 2);
    assert_eq!(cart.program(&cart.wanted()), Change::Unchanged);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(cluster.events(&cart.uid).len(), 1);
}

#[test]
fn a_pod_in_a_user_namespace_gets_rules_with_its_own_users() {
    let mut cluster = Cluster::new(&[]);
    let mut manifest = meshed("cart");
    manifest["spec"]["hostUsers"] = json!(false);
    let cart = BrokenPod::create_from(&cluster.api, manifest);
    // The agent writes over netlink what the programs of that back end write.
    cluster.start_agent(&["--backend", "iptables-nft"]);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(cart.difference(), None);
    cluster.wait_for_log(&["were applied with netlink"]);
}

#[test]
fn only_pods_without_their_rules_are_changed() {
    let mut cluster = Cluster::new(&[]);
    let mut no_sidecar = meshed("without-sidecar");
    no_sidecar["spec"]["containers"] = json!([{"name": "app", "image": "none"}]);
    let mut own = meshed("own-init");
    own["spec"]["initContainers"] = json!([{"name": "istio-init", "image": "none"}]);
    let mut host = meshed("host");
    host["spec"]["hostNetwork"] = json!(true);
    let untouched = [no_sidecar, own, host].map(|it| BrokenPod::create_from(&cluster.api, it));
    let whole = BrokenPod::create(&cluster.api, "whole");
    assert_eq!(whole.program(&whole.wanted()), Change::Created);
    let other = BrokenPod::create(&cluster.api, "other");
    other.program(&other.wanted()[..1]);
    let elsewhere = BrokenPod::create(&cluster.api, "elsewhere");
    set_status(
        &cluster.api,
        "elsewhere",
        &json!({"podIP": "10.99.8.8", "podIPs": [{"ip": "10.99.8.8"}]}),
    );
    let broken = BrokenPod::create(&cluster.api, "zoo");
    cluster.start_agent(DEBUG);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(broken.difference(), None);
    for (name, why) in [
        (
            "without-sidecar",
            "none of the pod's containers is named `istio-proxy`",
        ),
        ("own-init", "init containers include `istio-init`"),
        ("host", "it shares the node's network"),
        ("whole", "it has its rules"),
        ("other", "it has rules of other settings"),
        (
            "elsewhere",
            "none of the pod's addresses is in the namespace",
        ),
    ] {
        cluster.wait_for_log(&[&format!("pod=\"{name}\""), why]);
    }
    assert!(untouched.iter().all(BrokenPod::has_no_rules));
    assert!(elsewhere.has_no_rules());
    assert!(other.difference().is_some(), "it keeps its rules");
    cluster.wait_for_metric(REPAIRED);

    // Rules that fail validation are replaced.
    set_status(&cluster.api, "other", &failing(1));
    cluster.wait_for_metric(&REPAIRED.replace(" 1", " 2"));
    assert_eq!(other.difference(), None);

    // Complete rules are not changed, even if validation fails, and the agent reports that.
    set_status(&cluster.api, "other", &failing(2));
    cluster.wait_for_log(&["pod=\"other\"", "its validation still fails"]);
    assert_eq!(cluster.status()["pods"][0]["pod"], "default/other");
    cluster.wait_for_metric(&REPAIRED.replace(" 1", " 2"));
}

#[test]
fn rules_of_another_mesh_are_reported_once_for_each_pod_and_not_changed() {
    let mut cluster = Cluster::new(&[]);
    let linkerd = Interception::Linkerd(linkerd::Interception::pod_default()).compile(Family::V4);
    let kuma = Interception::Kuma(kuma::Interception::pod_default()).compile(Family::V6);
    let mut of_kuma = meshed("of-kuma");
    of_kuma["metadata"]["annotations"] = json!({
        "kuma.io/sidecar-injected": "true",
        "traffic.kuma.io/transparent-proxy-config": "cniMode: true",
    });
    of_kuma["spec"]["containers"][1]["name"] = json!("kuma-sidecar");
    let broken = BrokenPod::create(&cluster.api, "broken");
    let istio = broken.wanted();
    broken.program_of(Mesh::Linkerd, std::slice::from_ref(&linkerd));
    let whole = BrokenPod::create(&cluster.api, "whole");
    whole.program(&istio);
    whole.program_of(Mesh::Kuma, std::slice::from_ref(&kuma));
    let of_kuma = BrokenPod::create_from(&cluster.api, of_kuma);
    of_kuma.program(&istio[..1]);
    let mut unmeshed = meshed("unmeshed");
    unmeshed["spec"]["containers"] = json!([{"name": "app", "image": "none"}]);
    let unmeshed = BrokenPod::create_from(&cluster.api, unmeshed);
    unmeshed.program_of(Mesh::Linkerd, std::slice::from_ref(&linkerd));
    let found = [
        (&broken, Mesh::Linkerd, &linkerd, "Linkerd"),
        (&whole, Mesh::Kuma, &kuma, "Kuma"),
        (&of_kuma, Mesh::Istio, &istio[0], "Istio"),
    ];
    let warnings = |pod: &BrokenPod, cluster: &Cluster| {
        let mut events = cluster.events(&pod.uid);
        events.retain(|event| event.starts_with("Warning RedirectionWarning: "));
        events
    };
    for _ in 0..2 {
        cluster.start_agent(&["--profile", "asm,kuma"]);
        cluster.wait_for_metric(r#"mesh_cni_add_warnings_total{reason="other-mesh"} 3"#);
        for (pod, mesh, rules, name) in found {
            let kept = pod
                .live()
                .into_iter()
                .find(|live| live.family == rules.family);
            assert_eq!(
                drift(rules, &kept.unwrap(), ownership(mesh)),
                None,
                "{name}"
            );
            cluster.wait_until("no Event", |cluster| !warnings(pod, cluster).is_empty());
            let event = format!(
                "Warning RedirectionWarning: the network namespace has rules of {name} too: they \
                 are not changed, and packets traverse them as well [other-mesh]"
            );
            assert_eq!(warnings(pod, &cluster), [event]);
        }
        assert_eq!(cluster.events(&unmeshed.uid), [""; 0]);
    }
}

#[test]
fn a_failed_repair_is_reported_each_time_and_retried_with_backoff() {
    let mut cluster = Cluster::new(&[]);
    let cart = BrokenPod::create(&cluster.api, "cart");
    let mut status = failing(1);
    status["podIP"] = json!("10.99.8.8");
    status["podIPs"] = json!([{"ip": "10.99.8.8"}]);
    set_status(&cluster.api, "cart", &status);
    cluster.start_agent(DEBUG);
    cluster.wait_for_log(&["again_in_s=1"]);
    // Events of the pod in the meantime do not shorten the delay.
    for number in 0..5 {
        let label = format!("label pod cart --overwrite seen={number}");
        cluster.api.must(&label);
    }
    cluster.wait_for_log(&["again_in_s=4"]);
    assert_eq!(cluster.count("repair: backing off"), 3);
    let events = cluster.events(&cart.uid);
    let failed = "Warning RepairFailed: traffic is not redirected, and repair failed: none of the \
                  pod's addresses is in the namespace of its process: 10.99.8.8; delete the pod, \
                  so that it gets a new sandbox";
    assert_eq!(events, [failed; 3]);
    assert!(cart.has_no_rules());
}

#[test]
fn a_pod_without_a_process_is_labelled_and_repaired_when_it_has_one() {
    let mut cluster = Cluster::new(&["repair.labelPods=true"]);
    let manifest = meshed("cart");
    let uid = create(&cluster.api, &manifest);
    set_status(&cluster.api, "cart", &failing(1));
    cluster.start_agent(DEBUG);
    for pause in [1, 2] {
        cluster.wait_for_log(&["repair: backing off", &format!("again_in_s={pause}")]);
    }
    let events = cluster.events(&uid);
    let failed = "Warning RepairFailed: traffic is not redirected, and repair failed: no process of \
                  the pod is visible; the agent retries when its containers start";
    assert!(events[0].starts_with(failed), "{events:?}");
    assert!(
        events[1].starts_with("Normal LabelledBroken: "),
        "{events:?}"
    );
    assert_eq!(events.len(), 2, "the same error is reported once");
    assert_eq!(cluster.status()["pods"][0]["pod"], "default/cart");
    assert_eq!(label_of(&cluster), json!("true"));

    let cart = BrokenPod::of(manifest, uid);
    set_status(&cluster.api, "cart", &failing(2));
    cluster.wait_for_metric(r#"mesh_cni_repairs_total{type="unlabel",result="success"} 1"#);
    assert_eq!(cart.difference(), None);
    assert_eq!(label_of(&cluster), json!(null));
    assert_eq!(cluster.status()["broken"], 0);
    let events = cluster.events(&cart.uid);
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events[2].starts_with("Normal Repaired: "), "{events:?}");
    assert!(events[3].starts_with("Normal LabelRemoved: "), "{events:?}");
}

#[test]
fn a_missing_capability_is_named() {
    let mut cluster = Cluster::new(&[]);
    let cart = BrokenPod::create(&cluster.api, "cart");
    set_status(&cluster.api, "cart", &failing(1));
    for (missing, remedy) in [
        ("sys_ptrace", "give the agent CAP_SYS_PTRACE"),
        ("sys_admin", "run the agent as root, with CAP_SYS_ADMIN"),
        ("net_admin", "give the agent CAP_NET_ADMIN"),
    ] {
        let mut capabilities = cluster.capabilities();
        capabilities.retain(|name| name != missing);
        assert_eq!(capabilities.len(), 2, "{missing} is one of three");
        cluster.start_agent_with(&capabilities, &[]);
        cluster.wait_for_log(&["repair: backing off"]);
        assert!(cart.has_no_rules());
        let events = cluster.events(&cart.uid);
        let failed = |event: &String| event.starts_with("Warning RepairFailed: ");
        let reports = |event: &String| failed(event) && event.contains(remedy);
        assert!(events.iter().any(reports), "without {missing}: {events:?}");
    }
}

fn label_of(cluster: &Cluster) -> serde_json::Value {
    let pod = cluster.api.get("pod cart");
    pod["metadata"]["labels"]["cni.istio.io/uninitialized"].clone()
}
