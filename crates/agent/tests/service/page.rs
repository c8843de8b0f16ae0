//! The page: its content, its escaping, and its display in a browser.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::agent::Agent;
use crate::api_server::ApiServer;
use crate::objects::pod;

/// The DOM of a page of the health port in Chromium, and the browser's log.
fn browse(agent: &Agent, path: &str) -> (String, String) {
    let address = health_address(agent);
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg("--enable-logging=stderr")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}{path}"))
        .output()
        .expect("chromium is not installed: run `make test`");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

fn health_address(agent: &Agent) -> SocketAddr {
    let line = agent.wait_for_any_line("listening address=");
    let (_, address) = line.split_once("address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    address.parse().unwrap()
}

/// The first line of a response of the health port.
fn first_line(address: SocketAddr, path: &str) -> String {
    let response = response(address, path);
    response.lines().next().unwrap_or_default().to_owned()
}

/// A response of the health port.
fn response(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// A node with a redirected pod, and a pod with HTML in the name of a container.
fn node() -> (ApiServer, Agent) {
    let mut odd = pod("odd", "o-1");
    odd["spec"]["containers"] = json!([{"name": "<script>alert('1 & 2')</script>"}]);
    let server = ApiServer::new([pod("cart", "c-1"), odd]);
    let flags = ["--health-addr", "127.0.0.1:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    (server, agent)
}

#[test]
fn it_is_served_only_on_a_loopback_address() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let flags = ["--health-addr", "0.0.0.0:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    let port = health_address(&agent).port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(first_line(address, "/healthz"), "HTTP/1.1 200 OK");
    for path in ["/", "/pods/shop/cart", "/walk", "/v1/status"] {
        assert_eq!(
            first_line(address, path),
            "HTTP/1.1 404 Not Found",
            "{path}"
        );
        assert_eq!(agent.get(path).code, 200, "{path} on the socket");
    }
}

#[test]
fn it_shows_each_pods_decision_and_reason() {
    let (_server, agent) = node();
    let page = agent.get("/");
    assert_eq!(page.code, 200);
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'")
    );
    for part in [
        "<strong>running</strong>",
        "<a href=\"/pods/shop/cart\">cart</a>",
        "IPv4 rules",
        "none of the pod's containers is named `istio-proxy`",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(!page.body.contains("http://") && !page.body.contains("https://"));
}

#[test]
fn each_pod_has_a_page() {
    let (_server, agent) = node();
    let page = agent.get("/pods/shop/cart").body;
    for part in [
        "Chain ISTIO_OUTPUT (1 references)",
        "No process of the pod is visible",
        "<input name=\"pod\" value=\"shop/cart\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert_eq!(agent.get("/pods/shop/till").code, 404);
}

#[test]
fn it_simulates_a_packet() {
    let (_server, agent) = node();
    let walk = |query: &str| agent.get(&format!("/walk?{query}")).body;
    let found = walk("pod=shop%2Fcart&packet=out+tcp+10.0.0.9%3A80+uid+1000");
    assert!(found.contains("15001"), "{found}");
    for (query, wanted) in [
        ("", "packet: "),
        ("pod=shop%2Fcart&packet=%3Cb%3E", "&lt;b&gt;"),
        (
            "pod=%22%3E%3Cb%3E&packet=x",
            "value=\"&quot;&gt;&lt;b&gt;\"",
        ),
        (
            "pod=shop%2Ftill&packet=out+tcp+10.0.0.9%3A80",
            "this node has no pod `shop/till`",
        ),
        (
            "pod=shop%2Fodd&packet=out+tcp+10.0.0.9%3A80",
            "the pod gets no rules",
        ),
    ] {
        let page = walk(query);
        assert!(page.contains(wanted), "{wanted} is not in {page}");
        assert!(!page.contains("<b>"), "{page}");
    }
}

#[test]
fn a_browser_shows_it_without_policy_violations() {
    let (_server, agent) = node();
    for (path, wanted) in [
        ("/", "none of the pod's containers is named `istio-proxy`"),
        ("/pods/shop/cart", "Chain ISTIO_IN_REDIRECT"),
        (
            "/walk?pod=shop%2Fcart&packet=out+tcp+10.0.0.9%3A80+uid+1000",
            "goes to Envoy's outbound listener on 15001",
        ),
    ] {
        let (dom, log) = browse(&agent, path);
        assert!(dom.contains(wanted), "{wanted} is not in {dom}\n{log}");
        assert!(dom.contains("</style>"), "{dom}");
        assert!(!log.contains("Content Security Policy"), "{log}");
    }
}

#[test]
fn control_and_format_characters_are_escaped() {
    let hostile = "a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{2028}f\u{1b}g\u{7f}h\u{e0001}i";
    let mut odd = pod("odd", "o-1");
    odd["spec"]["containers"] = json!([{"name": hostile}]);
    let server = ApiServer::new([odd]);
    let flags = ["--health-addr", "127.0.0.1:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    let address = health_address(&agent);
    let packet = "/walk?pod=shop/odd&packet=out%E2%80%AE";
    for path in ["/", "/pods/shop/odd", packet] {
        let response = response(address, path);
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        let is_printable = |character| character == '\n' || mesh_cni_text::is_printable(character);
        assert!(body.chars().all(is_printable), "{path}: {body:?}");
        assert!(body.contains(r"\u{202e}"), "{path}: {body}");
    }
}
