//! Every case of a pod, and what repair does about it.

use mesh_cni_agent::{
    Action, Diagnosis, Expected, History, Observation, ObservedRules, Pod, RepairMethod,
    RepairSettings, diagnose,
};
use serde_json::{Value, json};

use crate::objects::{deleting, pod};

/// A pod with its history.
struct Case {
    name: &'static str,
    pod: Value,
    expected: Expected,
    history: History,
}

fn selected(name: &'static str, pod: Value) -> Case {
    Case {
        name,
        pod,
        expected: Expected::Rules,
        history: History::default(),
    }
}

fn with_rules(name: &'static str, pod: Value, rules: ObservedRules, restarts: u32) -> Case {
    let mut case = selected(name, pod);
    case.history.observed(observation(rules, restarts));
    case
}

/// An observation after that many restarts of the validation.
fn observation(rules: ObservedRules, restarts: u32) -> Observation {
    let pod = Pod::from_object(&failing(restarts)).unwrap();
    Observation::new(&pod, rules, &RepairSettings::default())
}

/// A pod with a controller.
fn running() -> Value {
    let mut pod = pod("cart", "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11");
    pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "controller": true}]);
    pod
}

/// The same pod with a validation in that state.
fn validating(state: &Value, last: &Value, restarts: u32) -> Value {
    let mut pod = running();
    pod["status"]["phase"] = json!("Pending");
    pod["status"]["initContainerStatuses"] = json!([{
        "name": "istio-validation", "state": state, "lastState": last, "restartCount": restarts,
    }]);
    pod
}

fn ended(code: i32) -> Value {
    json!({"terminated": {"exitCode": code, "reason": "Error"}})
}

fn back_off() -> Value {
    json!({"waiting": {"reason": "CrashLoopBackOff"}})
}

fn failing(restarts: u32) -> Value {
    validating(&back_off(), &ended(126), restarts)
}

fn different() -> ObservedRules {
    ObservedRules::Different("IPv4, table nat: chain ISTIO_INBOUND is missing".to_owned())
}

fn unreadable() -> ObservedRules {
    ObservedRules::Unreadable("no process of the pod is visible".to_owned())
}

fn labelled(mut pod: Value) -> Value {
    pod["metadata"]["labels"]["cni.istio.io/uninitialized"] = json!("true");
    pod
}

fn without(mut pod: Value, path: &[&str], value: Value) -> Value {
    let mut place = &mut pod;
    for step in path {
        place = match step.parse::<usize>() {
            Ok(number) => &mut place[number],
            Err(_) => &mut place[*step],
        };
    }
    *place = value;
    pod
}

fn cases() -> Vec<Case> {
    let mut all = never_repaired();
    all.extend(running_cases());
    all.extend(failing_cases());
    all.extend(with_history());
    all
}

fn never_repaired() -> Vec<Case> {
    let reason = "the pod's init containers include `istio-init`, which redirects its traffic";
    let mut skipped = selected("not selected (host network, istio-init, …)", failing(3));
    skipped.expected = Expected::NoRules(reason.to_owned());
    let succeeded = without(running(), &["status", "phase"], json!("Succeeded"));
    let sandboxless = without(running(), &["status", "podIPs"], json!([]));
    vec![
        skipped,
        selected("being deleted", deleting(failing(3))),
        selected("ended well", succeeded),
        selected("no sandbox yet", sandboxless),
    ]
}

fn running_cases() -> Vec<Case> {
    vec![
        selected("running, not observed yet", running()),
        with_rules(
            "running, rules as expected",
            running(),
            ObservedRules::AsExpected,
            0,
        ),
        with_rules("running, no rules", running(), ObservedRules::Missing, 0),
        with_rules("running, different rules", running(), different(), 0),
        with_rules("running, rules unreadable", running(), unreadable(), 0),
        with_rules(
            "running, rules as expected, labelled",
            labelled(running()),
            ObservedRules::AsExpected,
            0,
        ),
    ]
}

fn failing_cases() -> Vec<Case> {
    let message = json!({"terminated": {
        "exitCode": 1,
        "message": "iptables validation failed; workload is not ready for Istio.",
    }});
    let never = without(
        validating(&ended(126), &json!({}), 0),
        &["status", "phase"],
        json!("Failed"),
    );
    let bare = without(failing(3), &["metadata", "ownerReferences"], json!([]));
    let mirror = without(
        failing(3),
        &["metadata", "annotations", "kubernetes.io/config.mirror"],
        json!("0123"),
    );
    vec![
        selected(
            "validation failed just now",
            validating(&ended(126), &json!({}), 0),
        ),
        selected("validation in back-off", failing(3)),
        selected(
            "validation failed, by its message",
            validating(&back_off(), &message, 1),
        ),
        selected(
            "validation fails with another exit code",
            validating(&back_off(), &ended(2), 1),
        ),
        selected(
            "validation is running again",
            validating(&json!({"running": {}}), &ended(126), 3),
        ),
        selected(
            "validation passed after failures",
            validating(&ended(0), &ended(126), 3),
        ),
        selected(
            "validation passed after failures, labelled",
            labelled(validating(&ended(0), &ended(126), 3)),
        ),
        selected("never restarted, ended", never),
        selected("failing, no controller", bare),
        selected("failing, static pod", mirror),
        selected("failing, labelled", labelled(failing(3))),
    ]
}

fn with_history() -> Vec<Case> {
    let mut fails_again = with_rules(
        "failed twice more, rules as expected",
        failing(4),
        ObservedRules::AsExpected,
        3,
    );
    fails_again
        .history
        .observed(observation(ObservedRules::AsExpected, 4));
    let moved = without(
        running(),
        &["status", "podIPs", "0", "ip"],
        json!("10.0.0.8"),
    );
    let mut deleted = selected("deleted by this agent", failing(3));
    deleted.history.deleted = true;
    let mut labelled_by_us = selected("labelled by this agent, not in the watch yet", failing(3));
    labelled_by_us.history.labelled = Some(true);
    vec![
        with_rules(
            "running, another sandbox",
            moved,
            ObservedRules::AsExpected,
            0,
        ),
        with_rules("failing, different rules", failing(3), different(), 3),
        with_rules("failing, rules unreadable", failing(3), unreadable(), 3),
        with_rules(
            "repaired, validation not restarted yet",
            failing(3),
            ObservedRules::AsExpected,
            3,
        ),
        with_rules(
            "repaired, validation failed again",
            failing(4),
            ObservedRules::AsExpected,
            3,
        ),
        fails_again,
        deleted,
        labelled_by_us,
    ]
}

fn settings(method: Option<RepairMethod>, label_pods: bool) -> RepairSettings {
    let mut settings = RepairSettings::default();
    settings.method = method;
    settings.label_pods = label_pods;
    settings
}

fn outcome(case: &Case, settings: &RepairSettings) -> String {
    let pod = Pod::from_object(&case.pod).unwrap();
    match diagnose(&pod, &case.expected, &case.history, settings) {
        Diagnosis::Observe => "OBSERVE its rules".to_owned(),
        Diagnosis::Act(Action::RepairInPlace) => "REPAIR in place".to_owned(),
        Diagnosis::Act(Action::Delete) => "DELETE it".to_owned(),
        Diagnosis::Act(Action::Label) => "LABEL it".to_owned(),
        Diagnosis::Act(Action::Unlabel) => "UNLABEL it".to_owned(),
        Diagnosis::Leave(reason) if reason.is_broken() => format!("broken: {reason}"),
        Diagnosis::Leave(reason) => format!("nothing: {reason}"),
    }
}

#[test]
fn every_case_has_an_action_or_a_reason() {
    let modes = [
        ("repair", settings(Some(RepairMethod::InPlace), true)),
        ("delete", settings(Some(RepairMethod::Delete), false)),
        ("label", settings(None, true)),
    ];
    let table: Vec<_> = cases()
        .into_iter()
        .map(|case| {
            let outcomes: Vec<_> = modes
                .iter()
                .map(|(mode, settings)| format!("  {mode}: {}", outcome(&case, settings)))
                .collect();
            format!("{}\n{}\n", case.name, outcomes.join("\n"))
        })
        .collect();
    let table = table.join("\n");
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "each case of a pod: the action with repairPods and labelPods, with deletePods, with only labelPods",
    }, { insta::assert_snapshot!("diagnoses", table) });
}

#[test]
fn only_the_configured_label_counts() {
    let mut settings = settings(None, true);
    settings.label = ("mesh".to_owned(), "broken".to_owned());
    let other = selected("", labelled(failing(3)));
    assert_eq!(outcome(&other, &settings), "LABEL it");
    let ours = without(failing(3), &["metadata", "labels", "mesh"], json!("broken"));
    assert!(outcome(&selected("", ours), &settings).starts_with("broken"));
}

/// A pod whose init container of that name ended with that code.
fn with_validation(name: &str, code: i32) -> Pod {
    let mut pod = validating(&back_off(), &ended(code), 1);
    pod["status"]["initContainerStatuses"][0]["name"] = json!(name);
    Pod::from_object(&pod).unwrap()
}

#[test]
fn each_mesh_has_a_validation_and_an_exit_code() {
    let mut settings = RepairSettings::default();
    settings.method = Some(RepairMethod::Delete);
    settings.init_container = "validate".to_owned();
    let is_broken = |name: &str, code: i32| {
        let pod = with_validation(name, code);
        let diagnosis = diagnose(&pod, &Expected::Rules, &History::default(), &settings);
        diagnosis == Diagnosis::Act(Action::Delete)
    };
    for (name, code) in [
        ("validate", 126),
        ("linkerd-network-validator", 95),
        ("kuma-validation", 1),
    ] {
        assert!(is_broken(name, code), "{name}");
        for other in [0, 1, 95, 126, 137]
            .into_iter()
            .filter(|other| *other != code)
        {
            assert!(!is_broken(name, other), "{name} with exit code {other}");
        }
    }
    assert!(
        !is_broken("istio-validation", 126),
        "another name is configured"
    );
}
