//! Judgements of hand-made clusters.

mod fixtures;

use insta::Settings;
use serde_json::{Value, json};

use self::fixtures::{
    DEBIAN, GKE, K3S, OPENSHIFT, after, answer, before, daemon_set, decisions, injector, node,
    nodes, pod,
};
use super::finding::{CheckId, Finding};
use super::objects::PodEvent;
use super::observed::{Installation, Observed, ObservedAfter, ObservedBefore};
use super::report::Report;
use super::{after as judge_after, before as judge_before};
use crate::failure::Exit;

fn assert_report(name: &str, description: &str, report: &Report, verbose: bool) {
    assert_text(name, description, &report.text(verbose));
}

fn assert_text(name: &str, description: &str, text: &str) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_description(description);
    let text = anstream::adapter::strip_str(text).to_string();
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn before_on_gke() {
    let mut observed = before(nodes(3, &GKE));
    observed.common.daemon_sets = Some(vec![daemon_set("kube-system", "istio-cni-node")]);
    observed.istio = Some(vec![
        injector(
            "istio-sidecar-injector-asm-1",
            &json!({"istio_cni": {"enabled": true}}),
        ),
        injector(
            "istio-sidecar-injector",
            &json!({"pilot": {"cni": {"enabled": false}}}),
        ),
        injector("istio", &json!({})),
    ]);
    let report = Report::new(judge_before::judge(&observed));
    assert_eq!(report.exit(), Exit::Done);
    assert_report(
        "check-pre-gke",
        "The platform's value is named, istio-cni-node and one of two injectors are warnings.",
        &report,
        false,
    );
}

#[test]
fn before_with_missing_rights_and_a_restricted_namespace() {
    let mut observed = before(nodes(1, &K3S));
    observed.rights.as_mut().unwrap()[0].is_allowed = false;
    observed.installation = Some(Installation::Namespace(
        [(
            "pod-security.kubernetes.io/enforce".to_owned(),
            "baseline".to_owned(),
        )]
        .into(),
    ));
    observed.common.pods = Some(decisions(&[
        pod(
            "bad-port",
            &["x", "istio-proxy"],
            &json!({"/metadata/annotations": {
                "sidecar.istio.io/status": "{}",
                "traffic.sidecar.istio.io/excludeInboundPorts": "http",
            }}),
        ),
        pod(
            "host",
            &["x", "istio-proxy"],
            &json!({"/spec": {"hostNetwork": true, "containers": [{"name": "x"}]}}),
        ),
    ]));
    observed.common.unlisted = vec!["cannot read events: 403".to_owned()];
    observed.common.unreadable = vec!["pod \"a\"/\"b\": it is too large".to_owned()];
    let report = Report::new(judge_before::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-pre-k3s",
        "A missing right, the namespace's level, a refused pod and an unlisted kind fail, each with a hint.",
        &report,
        false,
    );
}

#[test]
fn before_on_openshift() {
    let report = Report::new(judge_before::judge(&before(nodes(1, &OPENSHIFT))));
    assert_report(
        "check-pre-openshift",
        "OpenShift's directories and platform; the runtime's CNI version is not known.",
        &report,
        false,
    );
}

#[test]
fn five_thousand_nodes_are_a_few_lines() {
    let mut all = nodes(4998, &GKE);
    all.push(node("edge", &K3S));
    let mut windows = node("win", &DEBIAN);
    (windows.os, windows.os_image) = ("windows".to_owned(), "Windows Server 2022".to_owned());
    let mut arm = node("arm", &DEBIAN);
    arm.architecture = "riscv64".to_owned();
    all.extend([windows, arm]);
    let report = Report::new(judge_before::judge(&before(all.clone())));
    assert_report(
        "check-pre-mixed",
        "Groups of equal nodes with counts and three names; two pairs of directories are a warning.",
        &report,
        false,
    );
    assert!(report.text(true).lines().count() > 5000);
    let after = Report::new(judge_after::judge(&after(all)));
    assert!(after.text(false).lines().count() < 40);
}

#[test]
fn after_without_problems() {
    let report = Report::new(judge_after::judge(&after(nodes(3, &DEBIAN))));
    assert_eq!(report.exit(), Exit::Done);
    assert_report("check-ok", "Every line is ok.", &report, false);
}

#[test]
fn after_without_an_installation() {
    let mut observed = after(nodes(3, &DEBIAN));
    observed.common.daemon_sets.as_mut().unwrap()[0].namespace = "mesh".to_owned();
    let report = Report::new(judge_after::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-none",
        "Only the DaemonSet is reported.",
        &report,
        false,
    );
}

/// Each node has another fault.
#[test]
fn after_with_broken_nodes() {
    let mut all = nodes(9, &DEBIAN);
    all.push(node("gke-1", &GKE));
    all[8].taints = vec!["mesh-cni/not-ready".to_owned()];
    let mut observed = after(all);
    observed.agents.remove("node-1");
    observed.answers.remove("node-1");
    let set = |observed: &mut ObservedAfter, node: &str, more: Value| {
        *observed.answers.get_mut(node).unwrap() = Ok(answer(&more));
    };
    set(
        &mut observed,
        "node-2",
        json!({"/status": "partly", "/reasons": ["/host/cni-conf/10-net.conflist has no mesh-cni entry"]}),
    );
    let broken = json!([{"pod": "shop/cart", "why": "its rules differ: nat ISTIO_INBOUND, rule 2 is missing"}]);
    set(
        &mut observed,
        "node-3",
        json!({"/agent/repair/broken": 2, "/agent/repair/pods": broken}),
    );
    set(&mut observed, "node-4", json!({"/agent/version": "0.0.9"}));
    set(
        &mut observed,
        "node-5",
        json!({"/agent/backend": {"detail": "netlink: no nf_tables"}}),
    );
    set(&mut observed, "node-6", json!({"/agent/repair": null}));
    *observed.answers.get_mut("node-7").unwrap() =
        Err("the program did not end within 15 s".to_owned());
    let waiting = observed.agents.get_mut("node-8").unwrap();
    (waiting.is_ready, waiting.waits_for) = (false, Some("ImagePullBackOff".to_owned()));
    observed.answers.remove("node-8");
    let drifted = json!({
        "node": "node-9", "source": "watch", "total": 3, "pods": [
            {"namespace": "shop", "name": "web", "phase": "Running", "decision": "redirect", "rules": "drifted",
                "rules_detail": "nat ISTIO_INBOUND, rule 6 is missing"},
            {"namespace": "shop", "name": "new", "phase": "Pending", "decision": "redirect", "rules": "no"},
            {"namespace": "shop", "name": "db", "phase": "Running", "decision": "skip", "rules": "no"},
        ],
    });
    let drifted = serde_json::from_value(drifted).unwrap();
    observed.lists.insert("node-9".to_owned(), drifted);
    observed.common.pods = Some(decisions(&[
        pod(
            "new",
            &["x", "istio-proxy"],
            &json!({"/status/phase": "Pending"}),
        ),
        pod(
            "six",
            &["x", "istio-proxy"],
            &json!({"/status/podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}]}),
        ),
    ]));
    let event = |uid: &str| {
        PodEvent {
        uid: uid.to_owned(),
        message: "Failed to create pod sandbox: rpc error: plugin type=\"mesh-cni\" failed (add): the agent does \
                  not answer; start it"
            .to_owned(),
    }
    };
    observed.events = Some(vec![event("uid-new"), event("uid-new"), event("uid-gone")]);
    observed.common.ignored = vec!["ConfigMap kube-system/mesh-cni: colour".to_owned()];
    let report = Report::new(judge_after::judge(&observed));
    assert_eq!(report.exit(), Exit::No);
    assert_report(
        "check-broken",
        "Each faulty node or pod is named in one finding, with a hint that fits.",
        &report,
        false,
    );
}

#[test]
fn pods_in_ambient_mode_need_a_ztunnel_and_everything_else() {
    let mut observed = after(nodes(4, &DEBIAN));
    let mut set = |node: &str, ambient: Value| {
        let mut answer = answer(&json!({}));
        answer.agent.as_mut().unwrap().ambient = Some(serde_json::from_value(ambient).unwrap());
        observed.answers.insert(node.to_owned(), Ok(answer));
        judge_after::judge(&observed)
    };
    let served = |number: usize| json!({"ztunnels": 1, "pods": {"enrolled": number, "broken": 0}});
    let ambient = |findings: Vec<Finding>| {
        let of_ambient = findings
            .into_iter()
            .filter(|each| each.id == CheckId::Ambient);
        Report::new(of_ambient.collect())
    };
    set("node-1", served(2));
    let healthy = ambient(set("node-2", served(3)));
    assert_eq!(healthy.exit(), Exit::Done);
    set("node-2", json!({"ztunnels": 0, "pods": {"enrolled": 3}}));
    let why = "ztunnel does not answer; check the ztunnel pod of the node and its log [ztunnel]";
    let broken = json!([{"pod": "shop/cart", "why": why}, {"pod": "shop/web", "why": why}]);
    let status = json!({"ztunnels": 1, "pods": {"broken": 12}, "broken": broken});
    let faulty = ambient(set("node-3", status));
    assert_eq!(faulty.exit(), Exit::No);
    let text = healthy.text(false) + "\n" + &faulty.text(false);
    assert_text(
        "check-ambient",
        "The sum of the pods and nodes; then a node without ztunnel, and all broken pods, named or counted.",
        &text,
    );
}

/// Nothing is said about what cannot be read.
#[test]
fn what_is_not_known_is_not_judged() {
    let unlisted = || Observed {
        server: "v1.34.4".to_owned(),
        unlisted: vec!["cannot read nodes: 403".to_owned()],
        ..Observed::default()
    };
    let before = ObservedBefore {
        common: unlisted(),
        ..ObservedBefore::default()
    };
    let after = ObservedAfter {
        common: unlisted(),
        ..ObservedAfter::default()
    };
    for findings in [judge_before::judge(&before), judge_after::judge(&after)] {
        let ids: Vec<_> = findings.iter().map(|each| each.id.as_str()).collect();
        assert_eq!(ids, ["api-server", "objects"]);
    }
}
