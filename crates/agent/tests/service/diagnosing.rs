//! Every situation of a pod, and what repair does about it.

use mesh_cni_agent::{
    Diagnosis, History, Pod, Remedy, RepairAction, RepairSettings, Rules, Sight, Wanted, diagnose,
};
use serde_json::{Value, json};

use crate::objects::{deleting, pod};

/// A situation: what it is, the pod, what is known of it.
struct Situation {
    name: &'static str,
    pod: Value,
    wanted: Wanted,
    history: History,
}

fn selected(name: &'static str, pod: Value) -> Situation {
    Situation {
        name,
        pod,
        wanted: Wanted::Rules,
        history: History::default(),
    }
}

fn with_rules(name: &'static str, pod: Value, rules: Rules, restarts: u32) -> Situation {
    let mut situation = selected(name, pod);
    situation.history.saw(sight(rules, restarts));
    situation
}

/// A look at the pod while its validation had been started again so often.
fn sight(rules: Rules, restarts: u32) -> Sight {
    let pod = Pod::from_object(&failing(restarts)).unwrap();
    Sight::of(&pod, rules, &RepairSettings::default())
}

/// A pod whose controller makes another.
fn running() -> Value {
    let mut pod = pod("cart", "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11");
    pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "controller": true}]);
    pod
}

/// The same with a validation in that state.
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

fn other() -> Rules {
    Rules::Other("IPv4, table nat: chain ISTIO_INBOUND is missing".to_owned())
}

fn unseen() -> Rules {
    Rules::Unseen("no process of the pod is visible".to_owned())
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

fn situations() -> Vec<Situation> {
    let mut all = untouchable();
    all.extend(seen());
    all.extend(crashing());
    all.extend(known());
    all
}

fn untouchable() -> Vec<Situation> {
    let reason = "the pod's init containers include `istio-init`, which redirects its traffic";
    let mut skipped = selected("not selected (host network, istio-init, …)", failing(3));
    skipped.wanted = Wanted::Nothing(reason.to_owned());
    let succeeded = without(running(), &["status", "phase"], json!("Succeeded"));
    let sandboxless = without(running(), &["status", "podIPs"], json!([]));
    vec![
        skipped,
        selected("being deleted", deleting(failing(3))),
        selected("ended well", succeeded),
        selected("no sandbox yet", sandboxless),
    ]
}

fn seen() -> Vec<Situation> {
    vec![
        selected("running, first seen", running()),
        with_rules("running, rules whole", running(), Rules::Whole, 0),
        with_rules("running, no rules", running(), Rules::Missing, 0),
        with_rules("running, other rules", running(), other(), 0),
        with_rules("running, rules unseen", running(), unseen(), 0),
        with_rules(
            "running, rules whole, labelled",
            labelled(running()),
            Rules::Whole,
            0,
        ),
    ]
}

fn crashing() -> Vec<Situation> {
    let words = json!({"terminated": {
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
            validating(&back_off(), &words, 1),
        ),
        selected(
            "validation fails otherwise",
            validating(&back_off(), &ended(2), 1),
        ),
        selected(
            "validation runs again",
            validating(&json!({"running": {}}), &ended(126), 3),
        ),
        selected(
            "validation passed at last",
            validating(&ended(0), &ended(126), 3),
        ),
        selected(
            "validation passed at last, labelled",
            labelled(validating(&ended(0), &ended(126), 3)),
        ),
        selected("never restarted, ended", never),
        selected("failing, nobody's pod", bare),
        selected("failing, static pod", mirror),
        selected("failing, labelled", labelled(failing(3))),
    ]
}

fn known() -> Vec<Situation> {
    let mut fails_on = with_rules("failing on, rules whole", failing(4), Rules::Whole, 3);
    fails_on.history.saw(sight(Rules::Whole, 4));
    let moved = without(
        running(),
        &["status", "podIPs", "0", "ip"],
        json!("10.0.0.8"),
    );
    let mut deleted = selected("deleted by us", failing(3));
    deleted.history.deleted = true;
    let mut told_later = selected("labelled by us, not told yet", failing(3));
    told_later.history.labelled = Some(true);
    vec![
        with_rules("running, another sandbox", moved, Rules::Whole, 0),
        with_rules("failing, other rules", failing(3), other(), 3),
        with_rules("failing, rules unseen", failing(3), unseen(), 3),
        with_rules("repaired, tried again later", failing(3), Rules::Whole, 3),
        with_rules("repaired, failed once more", failing(4), Rules::Whole, 3),
        fails_on,
        deleted,
        told_later,
    ]
}

fn settings(action: Option<RepairAction>, label_pods: bool) -> RepairSettings {
    let mut settings = RepairSettings::default();
    settings.action = action;
    settings.label_pods = label_pods;
    settings
}

fn told(situation: &Situation, settings: &RepairSettings) -> String {
    let pod = Pod::from_object(&situation.pod).unwrap();
    match diagnose(&pod, &situation.wanted, &situation.history, settings) {
        Diagnosis::Look => "LOOK at its rules".to_owned(),
        Diagnosis::Act(Remedy::InPlace) => "REPAIR in place".to_owned(),
        Diagnosis::Act(Remedy::Delete) => "DELETE it".to_owned(),
        Diagnosis::Act(Remedy::Label) => "LABEL it".to_owned(),
        Diagnosis::Act(Remedy::Unlabel) => "UNLABEL it".to_owned(),
        Diagnosis::Leave(reason) if reason.is_broken() => format!("broken: {reason}"),
        Diagnosis::Leave(reason) => format!("left: {reason}"),
    }
}

#[test]
fn every_situation_has_its_remedy_or_its_reason() {
    let modes = [
        ("repair", settings(Some(RepairAction::InPlace), true)),
        ("delete", settings(Some(RepairAction::Delete), false)),
        ("label", settings(None, true)),
    ];
    let lines = situations().into_iter().map(|situation| {
        let modes = modes.iter();
        let told =
            modes.map(|(mode, settings)| format!("  {mode}: {}", told(&situation, settings)));
        let told: Vec<_> = told.collect();
        format!("{}\n{}\n", situation.name, told.join("\n"))
    });
    let table = lines.collect::<Vec<_>>().join("\n");
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "each situation of a pod: what is done with repairPods and labelPods, with deletePods, with labelPods alone",
    }, { insta::assert_snapshot!("diagnoses", table) });
}

#[test]
fn a_pod_is_labelled_by_its_very_label() {
    let mut settings = settings(None, true);
    settings.label = ("mesh".to_owned(), "broken".to_owned());
    let other = selected("", labelled(failing(3)));
    assert_eq!(told(&other, &settings), "LABEL it");
    let ours = without(failing(3), &["metadata", "labels", "mesh"], json!("broken"));
    assert!(told(&selected("", ours), &settings).starts_with("broken"));
}
