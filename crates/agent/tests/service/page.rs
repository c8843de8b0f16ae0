//! The page: its content, its escaping, and its display in a browser.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use serde_json::json;

use crate::agent::{Agent, Response};
use crate::api_server::ApiServer;
use crate::objects::pod;

/// The DOM of a page in Chromium, and the browser's log. The socket is forwarded to a port, as `ssh -L`
/// does.
fn browse(agent: &Agent, path: &str) -> (String, String) {
    let address = forward(agent.socket());
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

/// A port whose connections continue on the socket, until the test ends.
pub(crate) fn forward(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let agent = UnixStream::connect(&socket).unwrap();
            let (mut from_client, mut to_agent) =
                (client.try_clone().unwrap(), agent.try_clone().unwrap());
            thread::spawn(move || {
                drop(io::copy(&mut from_client, &mut to_agent));
                drop(to_agent.shutdown(Shutdown::Write));
            });
            thread::spawn(move || {
                let (mut from_agent, mut to_client) = (agent, client);
                drop(io::copy(&mut from_agent, &mut to_client));
                drop(to_client.shutdown(Shutdown::Write));
            });
        }
    });
    address
}

/// A node with a redirected pod, and a pod with HTML in the name of a container.
fn node() -> (ApiServer, Agent) {
    let mut odd = pod("odd", "o-1");
    odd["spec"]["containers"] = json!([{"name": "<script>alert('1 & 2')</script>"}]);
    let server = ApiServer::new([pod("cart", "c-1"), odd]);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    (server, agent)
}

#[test]
fn it_is_served_only_on_the_socket() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let flags = ["--health-addr", address];
        let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
        agent.wait_for_any_line("watch: listed");
        let port = agent.port("health").port();
        let get = |path: &str| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            Response::read(&mut stream).code
        };
        assert_eq!(get("/healthz"), 200);
        for path in [
            "/",
            "/pods/shop/cart",
            "/walk",
            "/v1/status",
            "/v1/pods",
            "/v1/pods?uid=c-1",
        ] {
            assert_eq!(get(path), 404, "{path}");
            assert_eq!(agent.get(path).code, 200, "{path} on the socket");
        }
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
        "none of the pod's containers is named <code>istio-proxy</code>",
        "<th>Rules applied?</th>",
        "<span class=\"word \">unknown</span>",
        "no process of the pod is visible",
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
            "this node has no pod <code>shop/till</code>",
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
        (
            "/",
            "none of the pod's containers is named <code>istio-proxy</code>",
        ),
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
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    let packet = "/walk?pod=shop/odd&packet=out%E2%80%AE";
    for path in ["/", "/pods/shop/odd", packet] {
        let body = agent.get(path).body;
        let is_printable = |character| character == '\n' || mesh_cni_text::is_printable(character);
        assert!(body.chars().all(is_printable), "{path}: {body:?}");
        assert!(body.contains(r"\u{202e}"), "{path}: {body}");
    }
}
