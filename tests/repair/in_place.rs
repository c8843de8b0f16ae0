//! Repair in place: the running pod's namespace is programmed, and nothing is started again.

use mesh_cni_netns::Change;
use serde_json::json;

use crate::cluster::Cluster;
use crate::patient::{Patient, create, failing, meshed, set_status};

/// What the chart gives by default; the log tells of pods that are left alone, too.
const DEBUG: &[&str] = &["--plugin-log-level", "debug"];

const REPAIRED: &str = r#"mesh_cni_repairs_total{type="repair",result="success"} 1"#;

#[test]
fn a_pod_that_started_before_the_agent_is_repaired_as_it_runs() {
    let mut cluster = Cluster::new(&[]);
    let mut cart = Patient::admit(&cluster.api, "cart");
    assert!(cart.is_bare());
    let pid = cart.pid();
    cluster.start_agent(DEBUG);
    cluster.counted(REPAIRED);
    assert_eq!(cart.difference(), None);
    assert!(cart.runs() && cart.pid() == pid, "nothing is started again");
    cluster.said(&["pod=\"cart\"", "namespace=\"default\"", "stand now"]);
    let event = cluster.events(&cart.uid);
    assert_eq!(event.len(), 1, "{event:?}");
    let told =
        "Normal Repaired: it had started without rules; 19 IPv4 rules and 19 IPv6 rules stand now";
    assert!(event[0].starts_with(told), "{event:?}");
    let status = cluster.status();
    assert_eq!(status["remedies"], json!(["repair"]));
    assert_eq!((&status["done"], &status["broken"]), (&json!(1), &json!(0)));

    // A second look changes nothing: neither rules nor Events.
    cluster.api.must("label pod cart seen=again");
    cluster.said_often("left alone: its rules stand", 2);
    assert_eq!(cart.program(&cart.wanted()), Change::Unchanged);
    cluster.counted(REPAIRED);
    assert_eq!(cluster.events(&cart.uid).len(), 1);
}

#[test]
fn a_pod_with_users_of_its_own_gets_rules_that_name_its_own() {
    let mut cluster = Cluster::new(&[]);
    let mut manifest = meshed("cart");
    manifest["spec"]["hostUsers"] = json!(false);
    let cart = Patient::admit_as(&cluster.api, manifest);
    // Netlink writes what that back end's programs write.
    cluster.start_agent(&["--backend", "iptables-nft"]);
    cluster.counted(REPAIRED);
    assert_eq!(cart.difference(), None);
    cluster.said(&["made by netlink"]);
}

#[test]
fn only_the_pods_that_lack_their_rules_are_touched() {
    let mut cluster = Cluster::new(&[]);
    let mut lonely = meshed("lonely");
    lonely["spec"]["containers"] = json!([{"name": "app", "image": "none"}]);
    let mut own = meshed("own-init");
    own["spec"]["initContainers"] = json!([{"name": "istio-init", "image": "none"}]);
    let mut host = meshed("host");
    host["spec"]["hostNetwork"] = json!(true);
    let untouched = [lonely, own, host].map(|it| Patient::admit_as(&cluster.api, it));
    let whole = Patient::admit(&cluster.api, "whole");
    assert_eq!(whole.program(&whole.wanted()), Change::Created);
    let other = Patient::admit(&cluster.api, "other");
    other.program(&other.wanted()[..1]);
    let elsewhere = Patient::admit(&cluster.api, "elsewhere");
    set_status(
        &cluster.api,
        "elsewhere",
        &json!({"podIP": "10.99.8.8", "podIPs": [{"ip": "10.99.8.8"}]}),
    );
    let broken = Patient::admit(&cluster.api, "zoo");
    cluster.start_agent(DEBUG);
    cluster.counted(REPAIRED);
    assert_eq!(broken.difference(), None);
    for (name, why) in [
        (
            "lonely",
            "none of the pod's containers is named `istio-proxy`",
        ),
        ("own-init", "`istio-init` among the init containers"),
        ("host", "it shares the node's network"),
        ("whole", "its rules stand"),
        ("other", "rules of other settings stand"),
        (
            "elsewhere",
            "none of the pod's addresses is in the namespace",
        ),
    ] {
        cluster.said(&[&format!("pod=\"{name}\""), why]);
    }
    assert!(untouched.iter().all(Patient::is_bare));
    assert!(elsewhere.is_bare());
    assert!(other.difference().is_some(), "it keeps what it has");
    cluster.counted(REPAIRED);

    // A proof that those rules do not redirect is a reason to replace them.
    set_status(&cluster.api, "other", &failing(1));
    cluster.counted(&REPAIRED.replace(" 1", " 2"));
    assert_eq!(other.difference(), None);

    // Whole rules are not touched, whatever its validation says, and people are told.
    set_status(&cluster.api, "other", &failing(2));
    cluster.said(&["pod=\"other\"", "its validation fails all the same"]);
    assert_eq!(cluster.status()["pods"][0]["pod"], "default/other");
    cluster.counted(&REPAIRED.replace(" 1", " 2"));
}

#[test]
fn a_repair_that_fails_is_told_each_time_and_tried_ever_more_rarely() {
    let mut cluster = Cluster::new(&[]);
    let cart = Patient::admit(&cluster.api, "cart");
    let mut status = failing(1);
    status["podIP"] = json!("10.99.8.8");
    status["podIPs"] = json!([{"ip": "10.99.8.8"}]);
    set_status(&cluster.api, "cart", &status);
    cluster.start_agent(DEBUG);
    cluster.said(&["again_in_s=1"]);
    // Whatever is heard of it meanwhile.
    for number in 0..5 {
        let label = format!("label pod cart --overwrite seen={number}");
        cluster.api.must(&label);
    }
    cluster.said(&["again_in_s=4"]);
    assert_eq!(cluster.count("repair: waits"), 3);
    let events = cluster.events(&cart.uid);
    let failed = "Warning RepairFailed: traffic is not redirected, and repair failed: none of the \
                  pod's addresses is in the namespace of its process: 10.99.8.8; delete the pod, \
                  so that it starts anew";
    assert_eq!(events, [failed; 3]);
    assert!(cart.is_bare());
}

#[test]
fn a_pod_without_a_process_is_labelled_and_repaired_when_it_has_one() {
    let mut cluster = Cluster::new(&["repair.labelPods=true"]);
    let manifest = meshed("cart");
    let uid = create(&cluster.api, &manifest);
    set_status(&cluster.api, "cart", &failing(1));
    cluster.start_agent(DEBUG);
    for pause in [1, 2] {
        cluster.said(&["repair: waits", &format!("again_in_s={pause}")]);
    }
    let events = cluster.events(&uid);
    let failed = "Warning RepairFailed: traffic is not redirected, and repair failed: no process of \
                  the pod is visible; it is tried again when its containers start";
    assert!(events[0].starts_with(failed), "{events:?}");
    assert!(
        events[1].starts_with("Normal LabelledBroken: "),
        "{events:?}"
    );
    assert_eq!(events.len(), 2, "what is not new is told once");
    assert_eq!(cluster.status()["pods"][0]["pod"], "default/cart");
    assert_eq!(label_of(&cluster), json!("true"));

    let cart = Patient::of(manifest, uid);
    set_status(&cluster.api, "cart", &failing(2));
    cluster.counted(r#"mesh_cni_repairs_total{type="unlabel",result="success"} 1"#);
    assert_eq!(cart.difference(), None);
    assert_eq!(label_of(&cluster), json!(null));
    assert_eq!(cluster.status()["broken"], 0);
    let events = cluster.events(&cart.uid);
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events[2].starts_with("Normal Repaired: "), "{events:?}");
    assert!(events[3].starts_with("Normal LabelRemoved: "), "{events:?}");
}

#[test]
fn a_capability_that_is_missing_is_told_by_its_name() {
    let mut cluster = Cluster::new(&[]);
    let cart = Patient::admit(&cluster.api, "cart");
    set_status(&cluster.api, "cart", &failing(1));
    for (missing, told) in [
        ("sys_ptrace", "give the agent CAP_SYS_PTRACE"),
        ("sys_admin", "run the agent as root, with CAP_SYS_ADMIN"),
        ("net_admin", "give the agent CAP_NET_ADMIN"),
    ] {
        let mut capabilities = cluster.capabilities();
        capabilities.retain(|name| name != missing);
        assert_eq!(capabilities.len(), 2, "{missing} is one of three");
        cluster.start_agent_with(&capabilities, &[]);
        cluster.said(&["repair: waits"]);
        assert!(cart.is_bare());
        let events = cluster.events(&cart.uid);
        let failed = |event: &String| event.starts_with("Warning RepairFailed: ");
        let told = |event: &String| failed(event) && event.contains(told);
        assert!(events.iter().any(told), "without {missing}: {events:?}");
    }
}

fn label_of(cluster: &Cluster) -> serde_json::Value {
    let pod = cluster.api.get("pod cart");
    pod["metadata"]["labels"]["cni.istio.io/uninitialized"].clone()
}
