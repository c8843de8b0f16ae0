//! Pictures of the page for the documentation.

use std::process::Command;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::ApiServer;
use crate::objects::pod;
use crate::page::forward;

fn in_namespace(namespace: &str, mut pod: Value) -> Value {
    pod["metadata"]["namespace"] = json!(namespace);
    pod
}

#[test]
fn pictures_of_a_node_with_one_pod_of_each_kind() {
    let directory = std::env::var("PICTURES").expect("the variable PICTURES names a directory");
    let mut excluded = pod("reviews", "r-1");
    excluded["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeOutboundPorts"] =
        json!("3306,5432");
    let mut refused = pod("ratings", "r-2");
    refused["metadata"]["annotations"]["traffic.sidecar.istio.io/includeInboundPorts"] =
        json!("9080,http");
    let mut job = pod("import", "i-1");
    job["metadata"]["annotations"] = json!({});
    job["spec"]["containers"] = json!([{"name": "import"}]);
    let system = in_namespace("kube-system", pod("metrics", "m-1"));
    let server = ApiServer::new([pod("productpage", "p-1"), excluded, refused, job, system]);
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    let address = forward(agent.socket());
    for (name, path, height) in [
        ("page-node", "/", 960),
        ("page-pod", "/pods/shop/reviews", 1600),
        (
            "page-walk",
            "/walk?pod=shop%2Freviews&packet=out+tcp+10.0.0.9%3A5432+uid+1000",
            560,
        ),
    ] {
        let profile = tempfile::tempdir().unwrap();
        let status = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!("--window-size=1280,{height}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--screenshot={directory}/{name}.png"))
            .arg(format!("http://{address}{path}"))
            .status()
            .expect("chromium is not installed: run `make test`");
        assert!(status.success(), "{path}: {status}");
    }
}
