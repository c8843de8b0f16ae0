//! Tests of the queue: backoffs, and turns of namespaces.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pod_in(namespace: &str, name: &str, uid: &str) -> Arc<Pod> {
    let metadata = json!({"namespace": namespace, "name": name, "uid": uid});
    Arc::new(Pod::from_object(&json!({"metadata": metadata})).expect("it is a pod"))
}

fn pod(name: &str, uid: &str) -> Arc<Pod> {
    pod_in("shop", name, uid)
}

/// The names of the pods that are due.
fn take_all(queue: &mut Queue, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| queue.take(now))
        .map(|due| due.name.name)
        .collect()
}

#[test]
fn several_changes_make_a_pod_due_once() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for _ in 0..3 {
        queue.changed(&pod("till", "t"), now);
        queue.changed(&pod("cart", "c"), now);
    }
    assert_eq!(queue.take(now), None, "more changes may follow");
    let later = now + SETTLE;
    assert_eq!(queue.next(), Some(later));
    assert_eq!(take_all(&mut queue, later), ["cart", "till"]);
    assert_eq!(queue.next(), None);
    assert_eq!(queue.take(later), None);
}

#[test]
fn the_backoff_of_a_failing_pod_doubles_and_ignores_changes() {
    let (mut queue, mut now) = (Queue::default(), Instant::now());
    let cart = pod("cart", "c");
    queue.changed(&cart, now);
    now += SETTLE;
    let mut backoffs = Vec::new();
    for _ in 0..12 {
        assert_eq!(take_all(&mut queue, now), ["cart"]);
        let backoff = queue.failed("c", now);
        queue.changed(&cart, now);
        assert_eq!(queue.take(now), None, "it is not due");
        backoffs.push(backoff.as_secs());
        now += backoff;
    }
    assert_eq!(backoffs, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    queue.succeeded("c");
    assert_eq!(queue.failed("c", now).as_secs(), 1);
}

#[test]
fn after_an_impossible_action_a_pod_is_due_when_it_changes() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let cart = pod("cart", "c");
    queue.changed(&cart, now);
    queue.take(now + SETTLE);
    for seconds in [1, 2, 4] {
        assert_eq!(queue.not_possible("c", now).as_secs(), seconds);
        assert_eq!(queue.next(), Some(now + Duration::from_secs(seconds)));
    }
    queue.changed(&cart, now);
    assert_eq!(queue.next(), Some(now + SETTLE));
    let later = now + Duration::from_secs(10);
    queue.rest("c", later);
    queue.take(now + SETTLE);
    queue.changed(&cart, now);
    assert_eq!(
        queue.next(),
        Some(later),
        "a large pod is not checked often"
    );
}

#[test]
fn a_new_pod_of_the_same_name_has_no_failures() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.changed(&pod("cart", "first"), now);
    queue.take(now);
    queue.failed("first", now);
    queue.remove("first");
    queue.changed(&pod("cart", "second"), now);
    let due = queue.take(now + SETTLE).expect("it is due");
    assert_eq!(due.uid, "second");
    assert_eq!(queue.failures("second"), 0);
}

#[test]
fn the_number_of_pods_is_limited() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..MAX_PODS {
        assert!(queue.changed(&pod("p", &number.to_string()), now));
    }
    assert!(!queue.changed(&pod("p", "one more"), now));
    assert_eq!(queue.len(), MAX_PODS);
    queue.retain(&[pod("p", "7")]);
    assert_eq!(queue.len(), 1);
}

#[test]
fn a_namespace_that_fills_the_queue_leaves_room_for_others() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for number in 0..MAX_PODS {
        queue.changed(&pod("p", &number.to_string()), now);
    }
    for number in 0..100 {
        let uid = format!("honest-{number}");
        queue.changed(&pod_in("honest", "p", &uid), now);
        assert!(queue.history(&uid).is_some());
    }
    assert!(!queue.changed(&pod("p", "one more"), now));
    assert_eq!(queue.len(), MAX_PODS);
    let taken: Vec<_> = std::iter::from_fn(|| queue.take(now + SETTLE)).collect();
    assert_eq!(taken.len(), MAX_PODS);
    let honest = taken.iter().filter(|due| due.name.namespace == "honest");
    assert_eq!(honest.count(), 100, "none of them made room for the others");
}

#[test]
fn pods_that_have_ended_take_no_place() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for phase in ["Succeeded", "Failed"] {
        let object = json!({
            "metadata": {"namespace": "shop", "name": "job", "uid": phase},
            "status": {"phase": phase},
        });
        let ended = Arc::new(Pod::from_object(&object).expect("it is a pod"));
        assert!(queue.changed(&ended, now));
    }
    assert_eq!((queue.len(), queue.next()), (0, None));
}

#[test]
fn a_pod_beside_a_thousand_failing_ones_of_another_namespace_is_checked_next() {
    let (mut queue, mut now) = (Queue::default(), Instant::now());
    let forged: Vec<_> = (0..1000)
        .map(|number| pod_in("forged", &format!("p{number}"), &format!("f{number}")))
        .collect();
    for pod in &forged {
        queue.changed(pod, now);
    }
    now += SETTLE;
    for _ in 0..10 {
        let due = queue.take(now).expect("many are due");
        queue.failed(&due.uid, now);
    }
    queue.changed(&pod_in("shop", "cart", "honest"), now);
    now += SETTLE;
    let mut next = || queue.take(now).map(|due| due.name.namespace);
    let both = [next(), next()];
    assert!(both.contains(&Some("shop".to_owned())), "{both:?}");
}

/// Checks every pod that is due, each of which is to be deleted, one in five seconds. Returns the
/// namespaces of the deleted pods. `recreate` says which namespaces replace a deleted pod.
fn deletions(queue: &mut Queue, count: usize, recreate: impl Fn(&str) -> bool) -> Vec<String> {
    let mut now = Instant::now() + SETTLE;
    let mut deleted = Vec::new();
    let mut next_deletion = now;
    while deleted.len() < count {
        let Some(due) = queue.take(now) else {
            match queue.next() {
                Some(next) => now = next,
                None => break,
            }
            continue;
        };
        let namespace = due.name.namespace.clone();
        if next_deletion > now {
            queue.postpone_deletion(&due.uid, next_deletion);
            continue;
        }
        if !queue.may_delete(&due.uid, now) {
            continue;
        }
        queue.deleting(&due.uid);
        queue.remove(&due.uid);
        next_deletion = now + Duration::from_secs(5);
        if recreate(&namespace) {
            let uid = format!("{namespace}-new-{}", deleted.len());
            queue.changed(&pod_in(&namespace, "p", &uid), now);
        }
        deleted.push(namespace);
    }
    deleted
}

#[test]
fn forged_failures_of_a_namespace_do_not_take_the_deletions_of_another() {
    for forged in [1, 2, 1000] {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for number in 0..forged {
            queue.changed(&pod_in("forged", "p", &format!("f{number}")), now);
        }
        for number in 0..5 {
            queue.changed(&pod_in("shop", "p", &format!("h{number}")), now);
        }
        let deleted = deletions(&mut queue, 10, |namespace| namespace == "forged");
        let honest = deleted.iter().filter(|namespace| *namespace == "shop");
        assert_eq!(honest.count(), 5, "{forged}: {deleted:?}");
    }
}

proptest! {
    /// However many pods each namespace has, and whichever of them are replaced when they are deleted,
    /// a pod is checked and deleted after at most one turn of each other namespace.
    #[test]
    fn namespaces_take_turns(sizes in prop::collection::vec((1_usize..12, any::<bool>()), 2..5)) {
        let name = |number: usize| format!("n{number}");
        let fill = |now: Instant| {
            let mut queue = Queue::default();
            for (number, (size, _)) in sizes.iter().enumerate() {
                for index in 0..*size {
                    queue.changed(&pod_in(&name(number), "p", &format!("{number}-{index}")), now);
                }
            }
            queue
        };
        let now = Instant::now();
        let mut queue = fill(now);
        let checked = std::iter::from_fn(|| queue.take(now + SETTLE));
        let checked: Vec<_> = checked.map(|due| due.name.namespace).collect();
        let total: usize = sizes.iter().map(|(size, _)| size).sum();
        let deleted = deletions(&mut fill(now), total, |namespace| {
            let number: usize = namespace[1..].parse().expect("it is a number");
            sizes[number].1
        });
        for order in [&checked, &deleted] {
            for (number, (size, _)) in sizes.iter().enumerate() {
                let positions = order.iter().enumerate().filter(|(_, it)| **it == name(number));
                let positions: Vec<_> = positions.map(|(position, _)| position).take(*size).collect();
                for (turn, position) in positions.iter().enumerate() {
                    prop_assert!(*position < (turn + 1) * sizes.len() + 1, "{number}: {order:?}");
                }
            }
        }
    }
}
