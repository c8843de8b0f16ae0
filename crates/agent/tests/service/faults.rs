//! An API server that fails, and pods that the watch has not told yet.

use std::thread;

use serde_json::{Value, json};

use crate::agent::{Agent, Answer};
use crate::api_server::{ApiServer, Fault, status};
use crate::objects::{deleting, pod};

fn start(server: &ApiServer, flags: &[&str]) -> Agent {
    Agent::start(flags, |directory| server.kubeconfig(directory))
}

fn error(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_list_of_many_pods_comes_in_pages() {
    let server = ApiServer::new((0..120).map(|n| pod(&format!("p{n}"), &format!("u{n}"))));
    let agent = start(&server, &[]);
    agent.said("watch: listed");
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    assert_eq!(status["pods"], 120);
    let lists = server
        .asked()
        .into_iter()
        .filter(|path| path.contains("limit=50"));
    assert_eq!(lists.count(), 3);
}

#[test]
fn a_pod_that_is_not_there_yet_is_waited_for() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.said("watch: follows");
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| agent.get("/v1/pods/shop/cart?uid=c-1"));
        server.tell("ADDED", &pod("cart", "c-1"));
        asking.join().unwrap()
    });
    assert_eq!(answer.code, 200, "{answer:?}");
    assert!(
        !server
            .asked()
            .iter()
            .any(|path| path.contains("/pods/cart"))
    );
}

#[test]
fn a_pod_that_the_watch_never_tells_is_fetched_once() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.said("watch: listed");
    server.hide(pod("cart", "c-1"));
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    let gets = server
        .asked()
        .into_iter()
        .filter(|path| path.contains("/pods/cart"));
    assert_eq!(gets.count(), 1);
}

#[test]
fn a_token_that_is_refused_is_read_again_and_the_pod_is_fetched() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.said("watch: listed");
    server.hide(pod("cart", "c-1"));
    server.fail("/pods/cart", Fault::Status(401));
    let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
    assert_eq!(answer.code, 200, "{answer:?}");
    for _ in 0..2 {
        server.fail("/pods/till", Fault::Status(401));
    }
    let answer = agent.get("/v1/pods/shop/till?uid=t-1");
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(error(&answer).contains("answered 401"), "{answer:?}");
}

#[test]
fn a_predecessor_is_never_taken_for_its_successor() {
    let server = ApiServer::new([pod("cart", "first")]);
    let agent = start(&server, &[]);
    agent.said("watch: listed");
    let answer = agent.get("/v1/pods/shop/cart?uid=second");
    assert_eq!(answer.code, 409, "{answer:?}");
    assert_eq!(
        error(&answer),
        "pod shop/cart has UID first now, not second"
    );
}

#[test]
fn without_a_uid_a_pod_on_its_way_out_is_not_the_one() {
    let server = ApiServer::new([deleting(pod("cart", "first"))]);
    let agent = start(&server, &[]);
    agent.said("watch: follows");
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| agent.get("/v1/pods/shop/cart"));
        server.tell("ADDED", &pod("cart", "second"));
        asking.join().unwrap()
    });
    assert!(answer.body.contains("second"), "{answer:?}");
}

#[test]
fn a_pod_that_nobody_knows_is_not_found() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
    assert_eq!(answer.code, 404, "{answer:?}");
}

#[test]
fn with_the_api_server_away_known_pods_are_answered_and_others_are_not() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = start(&server, &[]);
    agent.said("watch: follows");
    for _ in 0..50 {
        server.fail("", Fault::Close);
    }
    server.drop_watches();
    agent.said("did not answer");
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    assert_eq!(agent.get("/readyz").code, 200, "it knows its pods");
    let answer = agent.get("/v1/pods/shop/till?uid=t-1");
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(error(&answer).contains("cannot be fetched"), "{answer:?}");
}

#[test]
fn refusals_and_errors_at_the_start_are_waited_out() {
    for fault in [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Close,
    ] {
        let server = ApiServer::new([pod("cart", "c-1")]);
        server.fail("/api/v1/pods", fault);
        server.fail("/api/v1/pods", fault);
        let agent = start(&server, &[]);
        agent.said("watch: listed");
        assert_eq!(
            agent.get("/v1/pods/shop/cart?uid=c-1").code,
            200,
            "{fault:?}"
        );
    }
}

#[test]
fn a_slow_api_server_keeps_nobody_from_known_pods() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = start(&server, &[]);
    agent.said("watch: listed");
    server.fail("/pods/till", Fault::Silence);
    let answer = thread::scope(|scope| {
        let slow = scope.spawn(|| agent.get("/v1/pods/shop/till?uid=t-1"));
        let quick = agent.get("/v1/pods/shop/cart?uid=c-1");
        assert_eq!(quick.code, 200, "{quick:?}");
        slow.join().unwrap()
    });
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(error(&answer).contains("within 5 s"), "{answer:?}");
}

#[test]
fn a_watch_that_ends_goes_on_where_it_was() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.said("watch: follows");
    let mut at_12 = pod("cart", "c-1");
    at_12["metadata"]["resourceVersion"] = json!("12");
    server.tell("ADDED", &at_12);
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    server.drop_watches();
    agent.said("watch: follows");
    let asked = server.asked();
    let lists = asked.iter().filter(|path| path.contains("limit="));
    assert_eq!(lists.count(), 1, "{asked:?}");
    let mut again = asked.iter().filter(|path| path.contains("watch=true"));
    assert!(
        again.next_back().unwrap().contains("resourceVersion=12"),
        "{asked:?}"
    );
}

#[test]
fn a_version_that_is_too_old_is_listed_anew() {
    for as_event in [true, false] {
        let server = ApiServer::new([pod("cart", "c-1")]);
        let agent = start(&server, &[]);
        agent.said("watch: follows");
        if as_event {
            server.tell("ERROR", &status(410));
        } else {
            server.fail("watch=true", Fault::Status(410));
            server.drop_watches();
        }
        agent.said("watch: listed");
        let lists = server
            .asked()
            .into_iter()
            .filter(|path| path.contains("limit="));
        assert_eq!(lists.count(), 2);
    }
}

#[test]
fn an_unready_agent_says_why() {
    let server = ApiServer::new([]);
    for _ in 0..50 {
        server.fail("/api/v1/pods", Fault::Status(403));
    }
    let agent = start(&server, &[]);
    agent.said("answered 403");
    let ready = agent.get("/readyz");
    assert_eq!(ready.code, 503);
    assert!(ready.body.contains("answered 403"), "{ready:?}");
    assert_eq!(agent.get("/readyz/watch").code, 503);
    assert_eq!(agent.get("/readyz/socket").code, 200);
    assert_eq!(agent.get("/healthz").code, 200);
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    assert_eq!(status["state"], "updating");
}

#[test]
fn labels_of_namespaces_come_where_a_selector_needs_them() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    server.namespace(json!({"metadata": {"name": "shop", "labels": {"mesh": "off"}}}));
    let directory = tempfile::TempDir::new().unwrap();
    let entry = directory.path().join("entry.json");
    std::fs::write(&entry, r#"{"exclude_namespace_selector": "mesh=off"}"#).unwrap();
    let agent = start(&server, &["--conf-entry", entry.to_str().unwrap()]);
    let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
    assert_eq!(answer.code, 200, "{answer:?}");
    let facts: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(facts["namespace_labels"], json!({"mesh": "off"}));
}
