//! The layout of the page in a browser, on a phone, a tablet and a desktop.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::agent::{Agent, Response};
use crate::api_server::ApiServer;
use crate::objects::pod;

/// Writes into the surrounding page the width of the frame and of the document, the elements that do not
/// fit, and the titles and words that are broken between two letters.
const SCRIPT: &str = "<script>
const root = document.documentElement;
const cut = [...document.body.querySelectorAll('*')].filter(it =>
    it.getBoundingClientRect().right > innerWidth + 1
    || it.tagName != 'INPUT' && it.clientWidth > 0 && it.scrollWidth > it.clientWidth + 1);
const head = document.querySelector('thead');
const lines = it => {
    const range = document.createRange();
    range.selectNodeContents(it);
    return range.getClientRects().length;
};
const broken = [...document.querySelectorAll('th, .word')]
    .filter(it => lines(it) > it.textContent.trim().split(/\\s+/).length);
const found = {window: innerWidth, document: root.scrollWidth,
    cut: cut.map(it => it.outerHTML.slice(0, 80)), broken: broken.map(it => it.textContent),
    titles: head && getComputedStyle(head).display};
parent.document.body.dataset.found = encodeURIComponent(JSON.stringify(found));
</script>";

/// What a browser finds in the page in a frame of that width: a window cannot be as narrow as a phone.
/// The agent forbids scripts and frames, so the test serves the page.
fn measure(page: &Response, width: u32) -> Value {
    let (head, body) = page.body.split_once("</body>").unwrap();
    let page = format!("{head}{SCRIPT}</body>{body}");
    let frame = format!(
        "<!DOCTYPE html><iframe src=\"/page\" style=\"border:0;width:{width}px;height:800px\"></iframe>"
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = String::new();
            drop(BufReader::new(&client).read_line(&mut request));
            let html = if request.starts_with("GET /page ") {
                &page
            } else {
                &frame
            };
            let length = html.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n"
            );
            drop(client.write_all((head + html).as_bytes()));
        }
    });
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--window-size=1600,900", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}/"))
        .output()
        .expect("chromium is not installed: run `make test`");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split_once("data-found=\"").expect(&dom).1;
    let found = found.split('"').next().unwrap();
    let pair = format!("found={found}");
    let (_, json) = form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    serde_json::from_str(&json).unwrap()
}

/// A node with pods whose names, containers and settings are as long as Kubernetes allows.
fn node() -> (ApiServer, Agent) {
    let long = "x".repeat(63);
    let mut many = pod(&format!("{long}.{long}.{long}"), "m-1");
    let containers = (0..9).map(|number| json!({"name": format!("{number}{}", &long[1..])}));
    many["spec"]["containers"] = containers.collect();
    let mut refused = pod("refused", "r-1");
    refused["metadata"]["annotations"]["traffic.sidecar.istio.io/includeInboundPorts"] =
        json!("7".repeat(400));
    let server = ApiServer::new([pod("cart", "c-1"), many, refused]);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    (server, agent)
}

#[test]
fn every_page_fits_a_phone_a_tablet_and_a_desktop() {
    let (_server, agent) = node();
    for width in [420, 800, 1280] {
        for path in [
            "/",
            "/pods/shop/cart",
            "/pods/shop/refused",
            "/walk?pod=shop%2Fcart&packet=out+tcp+10.0.0.9%3A80+uid+1000",
        ] {
            let page = agent.get(path);
            assert_eq!(page.code, 200, "{page:?}");
            let found = measure(&page, width);
            assert_eq!(found["window"], width, "{path}");
            assert_eq!(found["document"], width, "{path} is wider: {found:#}");
            assert_eq!(found["cut"], json!([]), "{path} with {width} px");
            assert_eq!(found["broken"], json!([]), "{path} with {width} px");
        }
        let titles = if width < 768 {
            "none"
        } else {
            "table-header-group"
        };
        assert_eq!(measure(&agent.get("/"), width)["titles"], titles);
    }
}
