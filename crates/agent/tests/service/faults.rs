//! Failures of the API server, and pods that are not in the watch yet.

use std::thread;

use serde_json::{Value, json};

use crate::agent::{Agent, Response};
use crate::api_server::{ApiServer, Fault, status};
use crate::objects::{deleting, pod};

fn start(server: &ApiServer, flags: &[&str]) -> Agent {
    Agent::start(flags, |directory| server.kubeconfig(directory))
}

fn error(answer: &Response) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn the_pods_are_listed_from_the_cache_of_the_api_server() {
    let server = ApiServer::new((0..120).map(|n| pod(&format!("p{n}"), &format!("u{n}"))));
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    assert_eq!(status["pods"], 120);
    let lists = server.lists();
    let [list] = lists.as_slice() else {
        panic!("{lists:?}");
    };
    let from_cache = "&resourceVersion=0&resourceVersionMatch=NotOlderThan";
    assert!(
        list.ends_with(from_cache) && !list.contains("limit="),
        "{list}"
    );
    assert!(
        list.contains("fieldSelector=spec.nodeName%3Dnode-1"),
        "{list}"
    );
    let user_agent = concat!("mesh-cni-agent/", env!("CARGO_PKG_VERSION"));
    let senders = server.senders();
    assert!(
        senders.iter().all(|[name, _]| name == user_agent),
        "{senders:?}"
    );
}

#[test]
fn a_request_waits_for_a_pod_that_is_not_known_yet() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    let answer = thread::scope(|scope| {
        let request = scope.spawn(|| agent.get("/v1/pods/shop/cart?uid=c-1"));
        server.send("ADDED", &pod("cart", "c-1"));
        request.join().unwrap()
    });
    assert_eq!(answer.code, 200, "{answer:?}");
    assert!(
        !server
            .requests()
            .iter()
            .any(|path| path.contains("/pods/cart"))
    );
}

#[test]
fn a_pod_that_is_missing_in_the_watch_is_requested_once() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
    server.hide(pod("cart", "c-1"));
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    let gets = server
        .requests()
        .into_iter()
        .filter(|path| path.contains("/pods/cart"));
    assert_eq!(gets.count(), 1);
}

#[test]
fn a_refused_token_is_read_again_and_the_request_repeated() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
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
fn an_earlier_pod_of_the_same_name_is_never_returned() {
    let server = ApiServer::new([pod("cart", "first")]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
    let answer = agent.get("/v1/pods/shop/cart?uid=second");
    assert_eq!(answer.code, 409, "{answer:?}");
    assert_eq!(
        error(&answer),
        "pod shop/cart has UID first now, not second"
    );
}

#[test]
fn without_a_uid_a_pod_that_is_being_deleted_does_not_count() {
    let server = ApiServer::new([deleting(pod("cart", "first"))]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    let answer = thread::scope(|scope| {
        let request = scope.spawn(|| agent.get("/v1/pods/shop/cart"));
        server.send("ADDED", &pod("cart", "second"));
        request.join().unwrap()
    });
    assert!(answer.body.contains("second"), "{answer:?}");
}

#[test]
fn an_unknown_pod_is_not_found() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
    assert_eq!(answer.code, 404, "{answer:?}");
}

#[test]
fn without_the_api_server_known_pods_are_returned_and_others_are_not() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    for _ in 0..50 {
        server.fail("", Fault::Close);
    }
    server.drop_watches();
    agent.wait_for_line("did not answer");
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    assert_eq!(agent.get("/readyz").code, 200, "it knows its pods");
    let answer = agent.get("/v1/pods/shop/till?uid=t-1");
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(error(&answer).contains("cannot be requested"), "{answer:?}");
}

#[test]
fn failures_at_the_start_are_retried() {
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
        agent.wait_for_line("watch: listed");
        assert_eq!(
            agent.get("/v1/pods/shop/cart?uid=c-1").code,
            200,
            "{fault:?}"
        );
    }
}

#[test]
fn a_slow_api_server_does_not_delay_known_pods() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
    server.fail("/pods/till", Fault::Silence);
    let answer = thread::scope(|scope| {
        let slow = scope.spawn(|| agent.get("/v1/pods/shop/till?uid=t-1"));
        let quick = agent.get("/v1/pods/shop/cart?uid=c-1");
        assert_eq!(quick.code, 200, "{quick:?}");
        slow.join().unwrap()
    });
    assert_eq!(answer.code, 503, "{answer:?}");
    assert!(error(&answer).contains("within 4 s"), "{answer:?}");
}

#[test]
fn a_watch_that_ends_continues_at_its_version() {
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    let mut at_12 = pod("cart", "c-1");
    at_12["metadata"]["resourceVersion"] = json!("12");
    server.send("ADDED", &at_12);
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    server.drop_watches();
    agent.wait_for_line("watch: started");
    let requests = server.requests();
    assert_eq!(server.lists().len(), 1, "{requests:?}");
    let mut again = requests.iter().filter(|path| path.contains("watch=true"));
    assert!(
        again.next_back().unwrap().contains("resourceVersion=12"),
        "{requests:?}"
    );
}

#[test]
fn after_an_expired_version_everything_is_listed_again() {
    for as_event in [true, false] {
        let server = ApiServer::new([pod("cart", "c-1")]);
        let agent = start(&server, &[]);
        agent.wait_for_line("watch: started");
        server.send("BOOKMARK", &json!({"metadata": {"resourceVersion": "15"}}));
        if as_event {
            server.send("ERROR", &status(410));
        } else {
            server.fail("watch=true", Fault::Status(410));
            server.drop_watches();
        }
        agent.wait_for_line("watch: listed");
        let versions = versions(&server.lists());
        assert_eq!(versions, ["0", "15"], "the bookmark counts");
    }
}

/// The versions that these lists are not older than.
fn versions(lists: &[String]) -> Vec<String> {
    let versions = lists.iter().filter_map(|list| {
        let (_, after) = list.split_once("&resourceVersion=")?;
        after.strip_suffix("&resourceVersionMatch=NotOlderThan")
    });
    versions.map(str::to_owned).collect()
}

#[test]
fn a_version_that_the_api_server_never_reaches_is_given_up() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    server.fail(
        "resourceVersion=10&resourceVersionMatch",
        Fault::Status(500),
    );
    server.send("ERROR", &status(410));
    agent.wait_for_line("answered 500");
    agent.wait_for_line("watch: listed");
    assert_eq!(versions(&server.lists()), ["0", "10", "0"]);
}

#[test]
fn namespaces_are_read_as_metadata_and_only_if_a_selector_needs_them() {
    let read = |flags: &[&str]| {
        let server = ApiServer::new([pod("cart", "c-1")]);
        let agent = start(&server, flags);
        agent.wait_for_line("watch: started");
        if !flags.is_empty() {
            agent.wait_for_line("watch: started");
        }
        let requests = server.requests().into_iter().zip(server.senders());
        requests
            .filter(|(path, _)| path.starts_with("/api/v1/namespaces"))
            .map(|(_, [_, accept])| accept)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&[]), [""; 0]);
    let directory = tempfile::TempDir::new().unwrap();
    let entry = directory.path().join("entry.json");
    std::fs::write(&entry, r#"{"exclude_namespace_selector": "mesh=off"}"#).unwrap();
    let accepted = read(&["--conf-entry", entry.to_str().unwrap()]);
    let of = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");
    assert_eq!(
        accepted,
        [of("partialobjectmetadatalist"), of("partialobjectmetadata")]
    );
}

#[test]
fn an_agent_that_is_not_ready_reports_the_reason() {
    let server = ApiServer::new([]);
    for _ in 0..50 {
        server.fail("/api/v1/pods", Fault::Status(403));
    }
    let agent = start(&server, &[]);
    agent.wait_for_line("answered 403");
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
fn facts_contain_the_annotations_of_the_namespace_if_a_served_mesh_reads_them() {
    let annotations = |ports: &str| {
        json!({"config.linkerd.io/skip-outbound-ports": ports, "other": "x",
            "linkerd.io/inject": "enabled"})
    };
    let long = "1,".repeat(1 << 20);
    for (profile, ports, expected) in [
        (
            "linkerd",
            "25",
            json!({"config.linkerd.io/skip-outbound-ports": "25"}),
        ),
        // It is not kept, and requested.
        (
            "linkerd",
            &*long,
            json!({"config.linkerd.io/skip-outbound-ports": long}),
        ),
        ("kuma", "25", Value::Null),
        ("asm", "25", Value::Null),
    ] {
        let server = ApiServer::new([pod("cart", "c-1")]);
        server.namespace(json!({"metadata": {"name": "shop", "annotations": annotations(ports)}}));
        let directory = tempfile::TempDir::new().unwrap();
        let entry = directory.path().join("entry.json");
        std::fs::write(&entry, json!({"profile": profile}).to_string()).unwrap();
        let agent = start(&server, &["--conf-entry", entry.to_str().unwrap()]);
        let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
        assert_eq!(answer.code, 200, "{answer:?}");
        let facts: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(facts["namespace_annotations"], expected, "{profile}");
        let is_watched = server
            .requests()
            .iter()
            .any(|path| path.starts_with("/api/v1/namespaces?"));
        assert_eq!(is_watched, profile == "linkerd");
    }
}

#[test]
fn facts_contain_namespace_labels_if_a_selector_needs_them() {
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
