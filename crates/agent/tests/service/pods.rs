//! The store of pods: events in, pods out.

use std::collections::BTreeMap;

use mesh_cni_agent::{ContainerState, Event, Lookup, Namespace, Pod, PodName, Pods, Termination};
use serde_json::{Value, json};

use crate::objects::{deleting, pod};

fn read(object: &Value) -> Pod {
    Pod::from_object(object).unwrap()
}

fn cart() -> PodName {
    PodName {
        namespace: "shop".into(),
        name: "cart".into(),
    }
}

fn store(events: impl IntoIterator<Item = Event<Pod>>) -> Pods {
    let mut pods = Pods::new(false);
    for event in events {
        pods.apply(event);
    }
    pods
}

/// The UID of the pod that is found.
fn found(pods: &Pods, uid: Option<&str>) -> Option<String> {
    match pods.find(&cart(), uid) {
        Lookup::Found(pod) => Some(pod.uid.clone()),
        Lookup::Other(_) | Lookup::Unknown => None,
    }
}

#[test]
fn a_successor_of_the_same_name_is_another_pod() {
    let mut pods = store([Event::Applied(read(&pod("cart", "first")))]);
    assert_eq!(found(&pods, Some("first")).as_deref(), Some("first"));
    assert_eq!(found(&pods, Some("second")), None);

    pods.apply(Event::Applied(read(&pod("cart", "second"))));
    assert_eq!(found(&pods, Some("first")), None);
    assert_eq!(found(&pods, Some("second")).as_deref(), Some("second"));

    // The API server may tell the end of the first behind the begin of the second.
    pods.apply(Event::Gone(read(&pod("cart", "first"))));
    assert_eq!(found(&pods, Some("second")).as_deref(), Some("second"));
    pods.apply(Event::Gone(read(&pod("cart", "second"))));
    assert_eq!(pods.find(&cart(), Some("second")), Lookup::Unknown);
}

#[test]
fn a_pod_on_its_way_out_is_found_by_its_uid_alone() {
    let pods = store([Event::Applied(read(&deleting(pod("cart", "first"))))]);
    assert_eq!(found(&pods, None), None);
    assert_eq!(found(&pods, Some("first")).as_deref(), Some("first"));
}

#[test]
fn a_static_pod_is_found_by_the_uid_that_the_kubelet_uses() {
    let mut mirror = pod("cart", "of-the-mirror");
    mirror["metadata"]["annotations"]["kubernetes.io/config.hash"] = json!("of-the-kubelet");
    let pods = store([Event::Applied(read(&mirror))]);
    for uid in ["of-the-mirror", "of-the-kubelet"] {
        assert_eq!(
            found(&pods, Some(uid)).as_deref(),
            Some("of-the-mirror"),
            "{uid}"
        );
    }
    assert_eq!(found(&pods, Some("another")), None);
}

#[test]
fn what_a_new_list_does_not_name_is_gone_at_its_end() {
    let mut pods = store([
        Event::Applied(read(&pod("cart", "c"))),
        Event::Applied(read(&pod("till", "t"))),
        Event::ListBegins,
        Event::Listed(read(&pod("till", "t"))),
    ]);
    // While the list comes in, everything known stays known.
    assert_eq!(pods.len(), 2);
    let changes = pods.apply(Event::ListEnds);
    assert_eq!(changes.gone.len(), 1);
    assert_eq!(changes.gone[0].name, cart());
    assert_eq!(pods.len(), 1);
}

#[test]
fn a_list_that_breaks_off_takes_nothing_away() {
    let mut pods = store([
        Event::Applied(read(&pod("cart", "c"))),
        Event::ListBegins,
        Event::ListBegins,
        Event::Listed(read(&pod("cart", "c"))),
    ]);
    assert!(pods.apply(Event::ListEnds).gone.is_empty());
    assert_eq!(pods.len(), 1);
}

#[test]
fn changes_tell_what_is_new_and_what_is_replaced() {
    let mut pods = Pods::new(false);
    let first = Event::Applied(read(&pod("cart", "first")));
    assert_eq!(pods.apply(first.clone()).now.len(), 1);
    assert!(pods.apply(first).now.is_empty(), "nothing changed");
    let changes = pods.apply(Event::Applied(read(&pod("cart", "second"))));
    assert_eq!(changes.gone[0].uid, "first");
    assert_eq!(changes.now[0].uid, "second");
}

#[test]
fn labels_of_a_namespace_are_known_or_not_but_never_guessed() {
    let facts = read(&pod("cart", "c")).facts.unwrap();
    let mut pods = Pods::new(true);
    assert_eq!(pods.complete(&facts), None);
    let labels = BTreeMap::from([("mesh".to_owned(), "off".to_owned())]);
    pods.apply_namespace(Event::Applied(Namespace {
        name: "shop".into(),
        labels: labels.clone(),
    }));
    let complete = pods.complete(&facts).unwrap();
    assert_eq!(complete.namespace_labels, Some(labels));
    let without = Pods::new(false).complete(&facts).unwrap();
    assert_eq!(without.namespace_labels, None);
}

#[test]
fn what_repair_must_see_is_kept() {
    let mut object = pod("cart", "c");
    object["status"] = json!({
        "phase": "Pending",
        "initContainerStatuses": [{
            "name": "istio-validation",
            "containerID": "containerd://0123",
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 126, "reason": "Error", "message": "no rules"}},
        }],
        "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": "…"}}}],
    });
    let pod = read(&object);
    let [validation] = pod.init_containers.as_slice() else {
        panic!("{pod:?}")
    };
    assert_eq!(validation.id.as_deref(), Some("containerd://0123"));
    assert_eq!(
        validation.state,
        ContainerState::Waiting("CrashLoopBackOff".into())
    );
    assert_eq!(
        validation.last_termination,
        Some(Termination {
            exit_code: 126,
            reason: "Error".into(),
            message: "no rules".into(),
        })
    );
    assert_eq!(validation.restarts, 3);
    assert_eq!(pod.containers[0].state, ContainerState::Running);
    assert_eq!(pod.phase, "Pending");
}

#[test]
fn a_pod_that_cannot_be_read_is_there_with_the_reason() {
    let mut object = pod("cart", "c");
    object["spec"]["containers"] = json!([{"name": 7}]);
    let pod = read(&object);
    let error = pod.facts.unwrap_err().to_string();
    assert!(error.contains("spec.containers[0].name"), "{error}");
    assert_eq!(pod.name, cart());
}
