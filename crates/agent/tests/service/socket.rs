//! The socket: its permissions, its responses, and what it refuses.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_selector::PodFacts;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::{ApiServer, Fault};
use crate::objects::{mirror, pod};

fn with_cart() -> (ApiServer, Agent) {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_line("watch: listed");
    (server, agent)
}

#[test]
fn a_watched_pod_is_returned_from_memory() {
    let (server, agent) = with_cart();
    let answer = agent.get("/v1/pods/shop/cart?uid=c-1");
    assert_eq!(answer.code, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"));
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json["protocol_version"], 1);
    let facts: PodFacts = serde_json::from_value(json).unwrap();
    assert_eq!(facts, PodFacts::from_object(&pod("cart", "c-1")).unwrap());
    let gets = server
        .requests()
        .into_iter()
        .filter(|path| path.contains("/pods/"));
    assert_eq!(gets.count(), 0, "a watched pod needs no request");
}

#[test]
fn a_pod_is_found_by_its_uid() {
    let (_server, agent) = with_cart();
    let answer = agent.get("/v1/pods?uid=c-1");
    assert_eq!(answer.code, 200, "{answer:?}");
    let facts: PodFacts = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(facts.name, "cart");
    let none = agent.get("/v1/pods?uid=c-2");
    assert_eq!(none.code, 404, "{none:?}");
    assert!(none.body.contains("no pod of this node has UID c-2"));
    assert_eq!(agent.get("/v1/pods?uid=").code, 400);
}

#[test]
fn a_pod_that_claims_the_uid_of_another_is_not_returned_for_it() {
    let server = ApiServer::new([mirror("cart", "c-1", "t-1"), pod("till", "t-1")]);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_line("watch: listed");
    let facts = |path: &str| {
        let answer = agent.get(path);
        assert_eq!(answer.code, 200, "{path}: {answer:?}");
        serde_json::from_str::<PodFacts>(&answer.body).unwrap()
    };
    assert_eq!(facts("/v1/pods?uid=t-1").name, "till");
    let cart = facts("/v1/pods/shop/cart?uid=c-1");
    assert!(cart.is_of("c-1") && !cart.is_of("t-1"), "{cart:?}");
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=t-1").code, 409);
}

#[test]
fn the_watch_is_limited_to_this_node() {
    let (server, _agent) = with_cart();
    let requests = server.requests();
    let pods = requests
        .iter()
        .filter(|path| path.starts_with("/api/v1/pods?"));
    for path in pods {
        assert!(
            path.contains("fieldSelector=spec.nodeName%3Dnode-1"),
            "{path}"
        );
    }
    assert!(
        !requests.iter().any(|path| path.contains("namespaces")),
        "{requests:?}"
    );
}

#[test]
fn status_and_health_are_served() {
    let (_server, agent) = with_cart();
    assert_eq!(agent.get("/healthz").code, 200);
    let ready = agent.get("/readyz");
    assert_eq!(ready.code, 200, "{ready:?}");
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    assert_eq!(status["state"], "running");
    assert_eq!(status["pods"], 1);
    assert_eq!(status["node"], "node-1");
    assert_eq!(agent.get("/nothing").code, 404);
}

#[test]
fn only_the_owner_may_open_the_socket() {
    let (_server, agent) = with_cart();
    let metadata = fs::metadata(agent.socket()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let directory = fs::metadata(agent.run_dir()).unwrap();
    assert_eq!(directory.permissions().mode() & 0o7777, 0o700);
    let names = fs::read_dir(agent.run_dir()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["agent.lock", "agent.sock"]);
    let lock = fs::metadata(agent.run_dir().join("agent.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_kept() {
    let server = ApiServer::new([]);
    let agent = Agent::start(&[], |directory| {
        let run = directory.join("run");
        fs::create_dir(&run).unwrap();
        drop(UnixListener::bind(run.join("agent.sock")).unwrap());
        server.kubeconfig(directory)
    });
    assert_eq!(agent.get("/healthz").code, 200);
    let before = fs::metadata(agent.socket()).unwrap().ino();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .args(["run", "--node-name", "node-1", "--install", "false"])
        .args(["--health-addr", "off", "--metrics-addr", "off"])
        .arg("--cni-agent-run-dir")
        .arg(agent.run_dir())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("another agent listens on it"), "{error}");
    assert_eq!(fs::metadata(agent.socket()).unwrap().ino(), before);
}

#[test]
fn sigterm_ends_it_with_code_0() {
    let (_server, agent) = with_cart();
    let (status, _directory) = agent.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_report_is_counted_and_its_lines_are_logged() {
    let (_server, agent) = with_cart();
    let report = r#"{"decision": "skip", "reason": "no-istio-proxy", "namespace": "shop",
        "name": "cart", "container_id": "0123", "duration_us": 3000,
        "lines": [{"level": "warn", "message": "odd\nindeed\u202e\u001b\u200b"}]}"#;
    assert_eq!(agent.post("/v1/reports", report).code, 202);
    let line = agent.wait_for_line("plugin");
    for part in ["WARN", "shop", "cart", "0123", r"odd\nindeed\u{202e}"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(line.chars().all(mesh_cni_text::is_printable), "{line:?}");
    let metrics = agent.get("/metrics").body;
    let count = r#"mesh_cni_adds_total{decision="skip",reason="no-istio-proxy"} 1"#;
    assert!(metrics.contains(count), "{metrics}");
    let bucket = r#"mesh_cni_add_duration_seconds_bucket{le="0.004",decision="skip"} 1"#;
    assert!(metrics.contains(bucket), "{metrics}");
}

fn warn(agent: &Agent, pod: &str, uid: &str, code: &str) {
    let report = json!({
        "decision": "redirect", "reason": "container", "namespace": "shop", "name": pod, "uid": uid,
        "warnings": [{"code": code, "message": format!("{pod} is unusual")}],
    });
    assert_eq!(agent.post("/v1/reports", &report.to_string()).code, 202);
}

#[test]
fn a_warning_is_counted_and_creates_one_event_for_each_pod_and_code() {
    let (server, agent) = with_cart();
    server.fail("/events", Fault::Status(409));
    warn(&agent, "cart", "c-1", "unknown-value");
    for _ in 0..2 {
        warn(&agent, "cart", "c-1", "bypasses-proxy");
    }
    warn(&agent, "cart", "another-uid", "bypasses-proxy");
    warn(&agent, "cart", "c-1", "of-a-later-version");
    let start = Instant::now();
    while server.changes().len() < 3 {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(60), "{:?}", server.changes());
        thread::sleep(Duration::from_millis(50));
    }
    let event = server.changes().remove(1).1;
    assert_eq!(
        event["metadata"],
        json!({"namespace": "shop", "name": format!("cart-c-1-bypasses-proxy")})
    );
    assert_eq!(
        (&event["type"], &event["reason"]),
        (&json!("Warning"), &json!("RedirectionWarning"))
    );
    assert_eq!(event["note"], "cart is unusual [bypasses-proxy]");
    assert_eq!(event["regarding"]["uid"], "c-1");
    assert!(
        server.changes()[2].1["note"]
            .as_str()
            .unwrap()
            .ends_with("[other]")
    );
    let metrics = agent.get("/metrics").body;
    for count in [
        r#"mesh_cni_add_warnings_total{reason="unknown-value"} 1"#,
        r#"mesh_cni_add_warnings_total{reason="bypasses-proxy"} 3"#,
        r#"mesh_cni_add_warnings_total{reason="other"} 1"#,
        r#"mesh_cni_add_warnings_total{reason="ipv6-without-rules"} 0"#,
    ] {
        assert!(metrics.contains(count), "{count}: {metrics}");
    }
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    let counts = json!({"unknown-value": 1, "bypasses-proxy": 3, "other": 1});
    assert_eq!(status["warnings"], counts);
    assert!(
        agent
            .get("/")
            .body
            .contains("Warnings about redirected pods")
    );
}

#[test]
fn a_report_is_counted_even_if_the_sender_does_not_wait() {
    let (_server, agent) = with_cart();
    let body = r#"{"decision": "redirect", "lines": [{"level": "info", "message": "disconnected at once"}]}"#;
    let mut stream = UnixStream::connect(agent.socket()).unwrap();
    write!(
        stream,
        "POST /v1/reports HTTP/1.1\r\nhost: agent\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    drop(stream);
    agent.wait_for_line("disconnected at once");
}

#[test]
fn invalid_and_too_large_requests_are_refused() {
    let (_server, agent) = with_cart();
    let large = "x".repeat(65 * 1024);
    assert_eq!(agent.post("/v1/reports", &large).code, 413);
    assert_eq!(agent.post("/v1/reports", "{").code, 400);
    assert_eq!(agent.get(&format!("/{}", "x".repeat(20_000))).code, 431);
    assert_eq!(agent.request("invalid request\r\n\r\n").code, 400);
    for path in ["/v1/pods/shop/..", "/v1/pods/shop/A", "/v1/pods/shop/a%2fb"] {
        assert_eq!(agent.get(path).code, 400, "{path}");
    }
    assert_eq!(agent.get("/healthz").code, 200, "it still responds");
}
