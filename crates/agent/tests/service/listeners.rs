//! Clients of the socket that are slow, send too much, or never read: each loses its connection, and
//! the others get responses.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::agent::{Agent, DEADLINE, Response};
use crate::api_server::ApiServer;
use crate::objects::pod;

fn start() -> (ApiServer, Agent) {
    start_with([pod("cart", "c-1")])
}

fn start_with(pods: impl IntoIterator<Item = serde_json::Value>) -> (ApiServer, Agent) {
    let server = ApiServer::new(pods);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_line("watch: listed");
    (server, agent)
}

fn connect(agent: &Agent) -> UnixStream {
    let stream = UnixStream::connect(agent.socket()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends the text, then one byte a second, until the agent responds or closes the connection. Returns
/// what it sent.
fn send_slowly(agent: &Agent, text: &str) -> String {
    let mut stream = connect(agent);
    stream.write_all(text.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    for _ in 0..DEADLINE.as_secs() {
        let mut response = [0; 1024];
        match stream.read(&mut response) {
            Ok(count) => return String::from_utf8_lossy(&response[..count]).into_owned(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                drop(stream.write_all(b"x"));
            }
            Err(error) => return error.to_string(),
        }
    }
    panic!("the agent waits for ever");
}

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    let (_server, agent) = start();
    for start in ["", "GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let response = send_slowly(&agent, start);
        assert!(!response.starts_with("HTTP/1.1 200"), "{response}");
    }
}

#[test]
fn a_body_that_does_not_end_is_refused() {
    let (_server, agent) = start();
    let head = "POST /v1/reports HTTP/1.1\r\nhost: agent\r\n";
    for length in [
        "content-length: 60000\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\nffff\r\n{",
    ] {
        let response = send_slowly(&agent, &format!("{head}{length}"));
        assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    }
}

#[test]
fn only_a_report_may_have_a_body() {
    let (_server, agent) = start();
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/status",
        "/v1/pods?uid=c-1",
        "/nothing",
    ] {
        for method in ["GET", "POST"] {
            let head = format!("{method} {path} HTTP/1.1\r\nhost: agent\r\n");
            for body in [
                "content-length: 9\r\n\r\n",
                "transfer-encoding: chunked\r\n\r\n",
            ] {
                let answer = agent.request(&format!("{head}{body}"));
                assert_eq!(answer.code, 413, "{method} {path}: {answer:?}");
            }
        }
    }
}

#[test]
fn a_connection_carries_one_request() {
    let (_server, agent) = start();
    let request = "GET /healthz HTTP/1.1\r\nhost: agent\r\n\r\n";
    let answer = agent.request(&request.repeat(2));
    assert_eq!(answer.body, "ok\n", "{answer:?}");
    assert!(answer.head.contains("connection: close"), "{answer:?}");
}

#[test]
fn more_connections_than_places_are_refused_and_places_become_free() {
    let (_server, agent) = start();
    let open: Vec<_> = (0..400).map(|_| connect(&agent)).collect();
    let answer = Response::read(&mut connect(&agent));
    assert_eq!((answer.code, answer.body.as_str()), (503, "busy\n"));
    drop(open);
    while agent.get("/healthz").code == 503 {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
}

#[test]
fn a_long_listing_is_shortened() {
    let mut large = pod("large", "large-1");
    let ports: Vec<_> = (60_000..61_900).map(|port| port.to_string()).collect();
    large["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] =
        json!(ports.join(","));
    let (_server, agent) = start_with([large]);
    let page = agent.get("/pods/shop/large").body;
    let start: String = page.chars().take(3000).collect();
    assert!(page.contains("bytes in total)"), "{start}");
    assert!(page.len() < 100 * 1024, "{} bytes", page.len());
}

#[test]
fn unread_pages_use_little_memory() {
    let pods = (0..2000).map(|number| {
        let mut pod = pod(&format!("p{number}"), &format!("u{number}"));
        pod["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] =
            json!("x".repeat(500));
        pod
    });
    let (_server, agent) = start_with(pods);
    let unread: Vec<_> = (0..60).map(|_| send(&agent, "/")).collect();
    assert_eq!(agent.get("/").code, 200);
    let peak = peak_memory(&agent);
    assert!(peak < 64 * 1024, "{peak} KiB");
    drop(unread);
}

fn send(agent: &Agent, path: &str) -> UnixStream {
    let mut stream = connect(agent);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: agent\r\n\r\n").unwrap();
    stream
}

/// The most memory that it used so far, in KiB.
fn peak_memory(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A pod whose settings the agent does not keep, so that it requests them, and the path of its facts.
fn start_with_large() -> (ApiServer, Agent, &'static str) {
    let mut large = pod("large", "large-1");
    large["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] =
        json!("x".repeat(1_000_000));
    let (server, agent) = start_with([pod("cart", "c-1"), large]);
    (server, agent, "/v1/pods/shop/large?uid=large-1")
}

#[test]
fn a_large_response_that_is_not_read_ends_its_connection() {
    let (_server, agent, path) = start_with_large();
    let mut unread = send(&agent, path);
    thread::sleep(Duration::from_secs(8));
    let mut response = Vec::new();
    drop(unread.read_to_end(&mut response));
    assert!(response.starts_with(b"HTTP/1.1 200"));
    assert!(response.len() < 1_000_000, "{} bytes", response.len());
    assert!(
        agent.get(path).body.len() > 1_000_000,
        "a client that reads gets it"
    );
}

#[test]
fn the_start_page_shows_many_pods_in_parts() {
    let (_server, agent) = start_with((0..450).map(|n| pod(&format!("p{n:03}"), &format!("u{n}"))));
    let page = agent.get("/").body;
    assert!(
        page.contains("Pods of this node (450)") && page.contains("Pods 1 to 200."),
        "{page}"
    );
    assert!(page.contains("p199") && !page.contains("p200"));
    assert!(page.contains("<a href=\"/?from=200\">next</a>"));
    let last = agent.get("/?from=400").body;
    assert!(
        last.contains("p400") && last.contains("p449") && !last.contains(">next<"),
        "{last}"
    );
    for query in ["from=450", "from=99999999999999999999", "from=-1", "from=x"] {
        assert_eq!(agent.get(&format!("/?{query}")).code, 200, "{query}");
    }
}

#[test]
fn a_request_for_another_host_gets_no_response_about_pods() {
    let (_server, agent) = start();
    let get = |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        agent.request(&request).code
    };
    for path in [
        "/",
        "/pods/shop/cart",
        "/walk",
        "/v1/status",
        "/v1/pods/shop/cart",
    ] {
        for host in [
            "localhost",
            "localhost:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "agent",
        ] {
            assert_eq!(get(path, host), 200, "{path} of {host}");
        }
        for host in [
            "evil.example",
            "evil.example:8000",
            "10.0.0.7",
            "localhost.evil.example",
        ] {
            assert_eq!(get(path, host), 421, "{path} of {host}");
        }
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(path, "10.0.0.7"), 200, "{path}");
    }
}

#[test]
fn responses_have_the_headers_that_protect_browsers() {
    let (_server, agent) = start();
    let paths = [
        "/",
        "/pods/shop/cart",
        "/walk",
        "/v1/status",
        "/healthz",
        "/metrics",
        "/nothing",
    ];
    for path in paths {
        let head = agent.get(path).head;
        for header in ["x-content-type-options: nosniff", "cache-control: no-store"] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    for path in &paths[..3] {
        let head = agent.get(path).head;
        for header in [
            "content-security-policy: default-src 'none'; style-src 'sha256-",
            "referrer-policy: no-referrer",
            "x-frame-options: DENY",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        assert!(!head.contains("unsafe-inline"), "{head}");
    }
}
