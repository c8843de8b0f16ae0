//! The pods of the node, as changed by watch events.

use std::collections::BTreeSet;

use mesh_cni_agent::{
    Container, ContainerState, Labels, Lookup, Namespace, Pod, PodError, PodName, Pods,
    Termination, UsedFields, WatchEvent,
};
use serde_json::{Value, json};

use crate::objects::{deleting, mirror, pod};

fn read(object: &Value) -> Pod {
    Pod::from_object(object).unwrap()
}

fn cart() -> PodName {
    PodName::new("shop", "cart")
}

fn store(events: impl IntoIterator<Item = WatchEvent<Pod>>) -> Pods {
    let mut pods = Pods::default();
    for event in events {
        pods.apply(event);
    }
    pods
}

/// The UID of the pod that was found.
fn found(pods: &Pods, uid: Option<&str>) -> Option<String> {
    match pods.find(&cart(), uid) {
        Lookup::Found(pod) => Some(pod.uid.clone()),
        Lookup::Other(_) | Lookup::Unknown => None,
    }
}

#[test]
fn a_new_pod_of_the_same_name_is_another_pod() {
    let mut pods = store([WatchEvent::Apply(read(&pod("cart", "first")))]);
    assert_eq!(found(&pods, Some("first")).as_deref(), Some("first"));
    assert_eq!(found(&pods, Some("second")), None);

    pods.apply(WatchEvent::Apply(read(&pod("cart", "second"))));
    assert_eq!(found(&pods, Some("first")), None);
    assert_eq!(found(&pods, Some("second")).as_deref(), Some("second"));

    // The deletion of the first may arrive after the creation of the second.
    pods.apply(WatchEvent::Delete(read(&pod("cart", "first"))));
    assert_eq!(found(&pods, Some("second")).as_deref(), Some("second"));
    pods.apply(WatchEvent::Delete(read(&pod("cart", "second"))));
    assert_eq!(pods.find(&cart(), Some("second")), Lookup::Unknown);
}

#[test]
fn a_pod_that_is_being_deleted_is_found_only_by_its_uid() {
    let pods = store([WatchEvent::Apply(read(&deleting(pod("cart", "first"))))]);
    assert_eq!(found(&pods, None), None);
    assert_eq!(found(&pods, Some("first")).as_deref(), Some("first"));
}

#[test]
fn a_static_pod_is_found_by_the_uid_that_the_kubelet_uses() {
    let mirror = mirror("cart", "of-the-mirror", "of-the-kubelet");
    let pods = store([WatchEvent::Apply(read(&mirror))]);
    for uid in ["of-the-mirror", "of-the-kubelet"] {
        assert_eq!(
            found(&pods, Some(uid)).as_deref(),
            Some("of-the-mirror"),
            "{uid}"
        );
    }
    assert_eq!(found(&pods, Some("another")), None);
}

/// The name of the only pod with that UID.
fn by_uid<'pods>(pods: &'pods Pods, uid: &str) -> Option<&'pods str> {
    pods.by_uid(uid).map(|pod| pod.name.name.as_str())
}

#[test]
fn no_pod_gets_the_own_uid_of_another_pod() {
    // `cart` comes before `till`, whose UID it claims.
    let forged = WatchEvent::Apply(read(&mirror("cart", "c", "t")));
    let victim = WatchEvent::Apply(read(&pod("till", "t")));
    for events in [[forged.clone(), victim.clone()], [victim, forged]] {
        let pods = store(events);
        assert_eq!(by_uid(&pods, "t"), Some("till"));
        assert_eq!(by_uid(&pods, "c"), Some("cart"));
        assert_eq!(
            found(&pods, Some("t")),
            None,
            "by name, `cart` has another UID"
        );
        assert_eq!(found(&pods, Some("c")).as_deref(), Some("c"));
        let cart = pods.by_uid("c").unwrap();
        assert!(!pods.is_uid_of("t", cart) && pods.is_uid_of("c", cart));
        let facts = cart.facts.as_ref().unwrap();
        assert_eq!(facts.static_pod_uid.as_deref(), Some("t"));
        assert_eq!(pods.complete(facts).unwrap().static_pod_uid, None);
        let requested = pods.complete_with(facts, namespace("shop", &[], &[], ""));
        assert_eq!(requested.static_pod_uid, None);
    }
}

#[test]
fn a_static_pod_that_several_pods_claim_to_be_is_found_only_by_name() {
    let mut pods = store([WatchEvent::Apply(read(&mirror("cart", "c", "static")))]);
    assert_eq!(by_uid(&pods, "static"), Some("cart"));
    pods.apply(WatchEvent::Apply(read(&mirror("till", "t", "static"))));
    assert_eq!(by_uid(&pods, "static"), None);
    assert_eq!(found(&pods, Some("static")).as_deref(), Some("c"));
}

#[test]
fn a_pod_that_is_no_mirror_has_no_second_uid() {
    let mut cart = mirror("cart", "c", "static");
    cart["metadata"]["ownerReferences"] = json!([]);
    let pods = store([WatchEvent::Apply(read(&cart))]);
    assert_eq!(by_uid(&pods, "static"), None);
    assert_eq!(found(&pods, Some("static")), None);
    assert_eq!(found(&pods, Some("c")).as_deref(), Some("c"));
}

#[test]
fn pods_that_a_new_list_does_not_contain_are_removed_at_its_end() {
    let mut pods = store([
        WatchEvent::Apply(read(&pod("cart", "c"))),
        WatchEvent::Apply(read(&pod("till", "t"))),
        WatchEvent::Init,
        WatchEvent::InitApply(read(&pod("till", "t"))),
    ]);
    // Until the list is complete, every pod is kept.
    assert_eq!(pods.len(), 2);
    let changes = pods.apply(WatchEvent::InitDone);
    assert_eq!(changes.deleted.len(), 1);
    assert_eq!(changes.deleted[0].name, cart());
    assert_eq!(pods.len(), 1);
}

#[test]
fn an_incomplete_list_removes_nothing() {
    let mut pods = store([
        WatchEvent::Apply(read(&pod("cart", "c"))),
        WatchEvent::Init,
        WatchEvent::Init,
        WatchEvent::InitApply(read(&pod("cart", "c"))),
    ]);
    assert!(pods.apply(WatchEvent::InitDone).deleted.is_empty());
    assert_eq!(pods.len(), 1);
}

#[test]
fn changes_contain_new_and_replaced_pods() {
    let mut pods = Pods::default();
    let first = WatchEvent::Apply(read(&pod("cart", "first")));
    assert_eq!(pods.apply(first.clone()).applied.len(), 1);
    assert!(pods.apply(first).applied.is_empty(), "nothing changed");
    let changes = pods.apply(WatchEvent::Apply(read(&pod("cart", "second"))));
    assert_eq!(changes.deleted[0].uid, "first");
    assert_eq!(changes.applied[0].uid, "second");
}

const SKIP: &str = "config.linkerd.io/skip-outbound-ports";

/// Pods of an agent that reads a label and an annotation of namespaces.
fn with_namespaces() -> Pods {
    let mut used = UsedFields::default();
    used.namespaces.labels = Some(BTreeSet::from(["mesh".to_owned()]));
    used.namespaces.annotations = Some(BTreeSet::from([SKIP.to_owned()]));
    Pods::new(used)
}

fn texts(keys: &[&str], value: &str) -> Labels {
    let pairs = keys.iter().map(|key| ((*key).to_owned(), value.to_owned()));
    pairs.collect()
}

fn namespace(name: &str, labels: &[&str], annotations: &[&str], value: &str) -> Namespace {
    Namespace {
        name: name.to_owned(),
        labels: texts(labels, value),
        annotations: texts(annotations, value),
    }
}

#[test]
fn facts_are_complete_only_with_the_used_labels_and_annotations_of_the_namespace() {
    let facts = read(&pod("cart", "c")).facts.unwrap();
    let mut pods = with_namespaces();
    assert_eq!(pods.complete(&facts), None);
    let shop = |value| {
        let labels = ["mesh", "other", "another"];
        namespace("shop", &labels, &[SKIP, "config.linkerd.io/other"], value)
    };
    for event in [
        vec![WatchEvent::Apply(shop("1"))],
        vec![WatchEvent::Init, WatchEvent::InitApply(shop("2"))],
        vec![WatchEvent::Apply(shop("3"))],
    ]
    .into_iter()
    .flatten()
    {
        let value = match &event {
            WatchEvent::Apply(shop) | WatchEvent::InitApply(shop) => shop.labels["mesh"].clone(),
            _ => "1".to_owned(),
        };
        pods.apply_namespace(event);
        let complete = pods.complete(&facts).unwrap();
        let (labels, annotations) = (texts(&["mesh"], &value), texts(&[SKIP], &value));
        assert_eq!(complete.namespace_labels, Some(labels));
        assert_eq!(complete.namespace_annotations, Some(annotations));
    }
    let requested = pods.complete_with(&facts, shop("4"));
    assert_eq!(requested.namespace_labels, Some(texts(&["mesh"], "4")));
    let none = Namespace {
        annotations: Labels::new(),
        ..shop("5")
    };
    let requested = pods.complete_with(&facts, none);
    assert_eq!(requested.namespace_annotations, Some(Labels::new()));
    pods.apply_namespace(WatchEvent::Delete(shop("3")));
    assert_eq!(pods.complete(&facts), None);
    let without = Pods::default().complete(&facts).unwrap();
    assert_eq!(without.namespace_labels, None);
    assert_eq!(without.namespace_annotations, None);
}

#[test]
fn the_annotations_of_all_namespaces_together_are_limited() {
    let mut pods = with_namespaces();
    let long = "1,".repeat(100 << 10);
    for number in 0..50 {
        let name = format!("large-{number}");
        pods.apply_namespace(WatchEvent::Apply(namespace(&name, &[], &[SKIP], &long)));
    }
    let kept = (0..50).filter(|number| !pods.is_large_namespace(&format!("large-{number}")));
    assert_eq!(kept.count(), 5, "1 MiB of 200 KiB each");
    // A namespace without annotations takes nothing of the limit.
    let shop = |annotations: &[&str], value| {
        WatchEvent::Apply(namespace("shop", &["mesh"], annotations, value))
    };
    let facts = read(&pod("cart", "c")).facts.unwrap();
    pods.apply_namespace(shop(&[], "off"));
    assert!(pods.complete(&facts).is_some());
    pods.apply_namespace(shop(&[SKIP], &long));
    assert!(pods.is_large_namespace("shop"));
    assert_eq!(pods.complete(&facts), None);
    let deleted = namespace("large-0", &[], &[SKIP], &long);
    pods.apply_namespace(WatchEvent::Delete(deleted));
    pods.apply_namespace(shop(&[SKIP], &long));
    assert!(pods.complete(&facts).is_some());
}

#[test]
fn the_status_that_repair_needs_is_read() {
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
fn only_the_status_that_repair_reads_is_kept_and_wherever_it_is() {
    let long = "x".repeat(900);
    let status = |name: String| {
        json!({
            "name": name,
            "containerID": format!("containerd://{name}"),
            "state": {"waiting": {"reason": long}},
            "lastState": {"terminated": {"exitCode": 126, "message": long}},
        })
    };
    let mut object = pod("cart", "c");
    let mut statuses: Vec<_> = (0..300).map(|number| status(number.to_string())).collect();
    object["status"]["containerStatuses"] = json!(statuses);
    statuses.push(status("istio-validation".to_owned()));
    object["status"]["initContainerStatuses"] = json!(statuses);
    let mut used = UsedFields::default();
    used.init_containers = vec!["istio-validation".to_owned()];
    let mut pods = Pods::new(used);
    pods.apply(WatchEvent::Apply(read(&object)));
    let kept = pods.by_uid("c").unwrap();
    let validation = kept.init_containers.last().unwrap();
    assert_eq!(validation.name, "istio-validation");
    let texts = |container: &Container| {
        let ContainerState::Waiting(reason) = &container.state else {
            panic!("{container:?}")
        };
        let end = container.last_termination.as_ref().unwrap();
        assert_eq!(end.exit_code, 126);
        assert!(container.id.is_some());
        (reason.len(), end.message.len())
    };
    assert_eq!(texts(validation), (900, 900));
    assert_eq!(
        (kept.init_containers.len(), kept.containers.len()),
        (65, 64)
    );
    let others = kept.all_containers().filter(|one| *one != validation);
    assert!(others.map(texts).all(|lengths| lengths == (0, 0)));
}

/// A pod with about that many bytes of settings.
fn with_settings(name: &str, bytes: usize) -> Value {
    let mut pod = pod(name, name);
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    pod["metadata"]["annotations"][key] = json!("x".repeat(bytes));
    pod
}

#[test]
fn the_facts_of_all_pods_together_are_limited_and_small_ones_are_always_kept() {
    let mut pods = Pods::default();
    let apply = |pods: &mut Pods, name: &str, bytes: usize| {
        pods.apply(WatchEvent::Apply(read(&with_settings(name, bytes))));
    };
    let is_kept = |pods: &Pods, name: &str| pods.by_uid(name).unwrap().facts.is_ok();
    for number in 0..500 {
        apply(&mut pods, &format!("large{number}"), 30 << 10);
    }
    assert!(is_kept(&pods, "large0"));
    assert_eq!(
        pods.by_uid("large499").unwrap().facts,
        Err(PodError::TooLarge)
    );
    let large = pods.large();
    assert!((200..300).contains(&large), "{large}");
    apply(&mut pods, "small", 6 << 10);
    assert!(is_kept(&pods, "small"));
    // A pod that changes, shrinks or ends makes room.
    for number in 0..100 {
        apply(&mut pods, &format!("large{number}"), 20 << 10);
        let ended = read(&with_settings(&format!("large{}", 499 - number), 30 << 10));
        pods.apply(WatchEvent::Delete(ended));
    }
    apply(&mut pods, "later", 30 << 10);
    assert!(is_kept(&pods, "later"));
    for event in [WatchEvent::Init, WatchEvent::InitDone] {
        pods.apply(event);
    }
    for number in 0..200 {
        apply(&mut pods, &format!("large{number}"), 30 << 10);
    }
    assert_eq!(pods.large(), 0, "nothing is counted twice");
}

#[test]
fn a_large_static_pod_is_found_by_the_uid_that_the_kubelet_uses() {
    let mut object = mirror("cart", "of-the-mirror", "of-the-kubelet");
    let large = with_settings("cart", 200_000);
    for (key, value) in large["metadata"]["annotations"].as_object().unwrap() {
        object["metadata"]["annotations"][key] = value.clone();
    }
    let pods = store([WatchEvent::Apply(read(&object))]);
    let found = pods.by_uid("of-the-kubelet").unwrap();
    assert_eq!(found.facts, Err(PodError::TooLarge));
    assert_eq!(found.uid, "of-the-mirror");
}

#[test]
fn a_pod_that_cannot_be_decoded_is_kept_with_the_reason() {
    let mut object = pod("cart", "c");
    object["spec"]["containers"] = json!([{"name": 7}]);
    let pod = read(&object);
    let error = pod.facts.unwrap_err().to_string();
    assert!(error.contains("spec.containers[0].name"), "{error}");
    assert_eq!(pod.name, cart());
}
