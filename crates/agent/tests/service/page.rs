//! The page: what it says, that it says nothing unescaped, and that a browser shows it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::agent::Agent;
use crate::api_server::ApiServer;
use crate::objects::pod;

/// What Chromium makes of a page of the health port, and what it had to say.
fn seen(agent: &Agent, path: &str) -> (String, String) {
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
    let line = agent.ever_said("listens address=");
    let (_, address) = line.split_once("address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    address.parse().unwrap()
}

/// The first line of an answer of the health port.
fn first_line(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// A node with a pod that is redirected, and one whose name for its app is an attack.
fn node() -> (ApiServer, Agent) {
    let mut odd = pod("odd", "o-1");
    odd["spec"]["containers"] = json!([{"name": "<script>alert('1 & 2')</script>"}]);
    let server = ApiServer::new([pod("cart", "c-1"), odd]);
    let flags = ["--health-addr", "127.0.0.1:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.ever_said("watch: listed");
    (server, agent)
}

#[test]
fn it_is_for_those_on_the_node() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let flags = ["--health-addr", "0.0.0.0:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.ever_said("watch: listed");
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
fn it_says_each_pods_decision_and_reason() {
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
        "none of the pod&#39;s containers is named `istio-proxy`",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(!page.body.contains("http://") && !page.body.contains("https://"));
}

#[test]
fn it_has_a_page_for_each_pod() {
    let (_server, agent) = node();
    let page = agent.get("/pods/shop/cart").body;
    for part in [
        "Chain ISTIO_OUTPUT (1 references)",
        "No process of the pod is seen from here",
        "<input name=\"pod\" value=\"shop/cart\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert_eq!(agent.get("/pods/shop/till").code, 404);
}

#[test]
fn it_walks_a_packet() {
    let (_server, agent) = node();
    let walk = |query: &str| agent.get(&format!("/walk?{query}")).body;
    let found = walk("pod=shop%2Fcart&packet=out+tcp+10.0.0.9%3A80+uid+1000");
    assert!(found.contains("15001"), "{found}");
    for (query, wanted) in [
        ("", "packet: "),
        ("pod=shop%2Fcart&packet=%3Cb%3E", "&lt;b&gt;"),
        (
            "pod=shop%2Ftill&packet=out+tcp+10.0.0.9%3A80",
            "no pod `shop/till` is known",
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
fn a_browser_shows_it_and_refuses_nothing() {
    let (_server, agent) = node();
    for (path, wanted) in [
        ("/", "none of the pod's containers is named `istio-proxy`"),
        ("/pods/shop/cart", "Chain ISTIO_IN_REDIRECT"),
        (
            "/walk?pod=shop%2Fcart&packet=out+tcp+10.0.0.9%3A80+uid+1000",
            "goes to Envoy's outbound listener on 15001",
        ),
    ] {
        let (dom, said) = seen(&agent, path);
        assert!(dom.contains(wanted), "{wanted} is not in {dom}\n{said}");
        assert!(dom.contains("</style>"), "{dom}");
        assert!(!said.contains("Content Security Policy"), "{said}");
    }
}
