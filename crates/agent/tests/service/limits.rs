//! What the agent reads and keeps is limited, and what is over a limit harms nothing else.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::{ApiServer, FILLER, Fault, INVALID};
use crate::objects::pod;

fn start(server: &ApiServer, flags: &[&str]) -> Agent {
    Agent::start(flags, |directory| server.kubeconfig(directory))
}

/// A pod with more settings than are kept.
pub(crate) fn with_large_settings(mut pod: Value) -> Value {
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    pod["metadata"]["annotations"][key] = json!(vec!["10.0.0.1/32"; 10_000].join(","));
    pod
}

fn is_known(agent: &Agent, name: &str) -> bool {
    let path = format!("/v1/pods/shop/{name}?uid={name}-1");
    agent.get(&path).code == 200
}

#[test]
fn an_error_response_is_read_and_logged_in_part() {
    let server = ApiServer::new([pod("cart", "cart-1")]);
    server.fail("resourceVersion=0", Fault::Endless(500));
    server.fail("watch=true", Fault::Endless(502));
    let agent = start(&server, &[]);
    for code in ["500", "502"] {
        let line = agent.wait_for_line(&format!("answered {code}: xxx"));
        assert!(line.len() < 1500, "{}", line.len());
    }
    agent.wait_for_line("watch: started");
    assert!(is_known(&agent, "cart"));
}

#[test]
fn an_object_that_cannot_be_read_hides_no_other_in_the_list() {
    let mut invalid = pod("invalid", "invalid-1");
    invalid["spec"]["containers"][0]["name"] = json!(INVALID);
    let mut too_large = pod("invalid", "invalid-1");
    too_large["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": FILLER}]);
    for (unreadable, why) in [
        (invalid, "invalid JSON: expected value"),
        (too_large, "more than 12582912 bytes"),
    ] {
        let before = (0..5).map(|number| pod(&format!("b{number}"), &format!("b{number}-1")));
        let after = (0..5).map(|number| pod(&format!("a{number}"), &format!("a{number}-1")));
        let server = ApiServer::new(before.chain([unreadable]).chain(after));
        let agent = start(&server, &[]);
        let line = agent.wait_for_line(&format!("skipped an object: {why}"));
        assert!(line.contains(r#"\"name\":\"invalid\""#), "{line}");
        agent.wait_for_line("watch: listed");
        for name in ["b0", "b4", "a0", "a4"] {
            assert!(is_known(&agent, name), "{name}");
        }
        let metrics = agent.get("/metrics").body;
        let skipped = "mesh_cni_api_objects_skipped_total 1";
        assert!(metrics.lines().any(|line| line == skipped), "{metrics}");
    }
}

#[test]
fn few_pods_are_requested_at_once_and_the_others_wait() {
    const LOOKUPS: usize = 12;
    let server = ApiServer::new([]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: started");
    for _ in 0..LOOKUPS {
        server.fail("/pods/cart", Fault::Silence);
    }
    thread::scope(|scope| {
        for _ in 0..LOOKUPS {
            scope.spawn(|| {
                let answer = agent.get("/v1/pods/shop/cart?uid=cart-1");
                assert_eq!(answer.code, 503, "{answer:?}");
            });
        }
    });
    let requests = server.requests().into_iter();
    let requests = requests.filter(|path| path.contains("/pods/cart")).count();
    assert!((1..LOOKUPS).contains(&requests), "{requests} requests");
}

#[test]
fn the_page_of_a_large_pod_requests_its_settings() {
    let server = ApiServer::new([
        with_large_settings(pod("cart", "cart-1")),
        pod("till", "till-1"),
    ]);
    let agent = start(&server, &[]);
    agent.wait_for_line("watch: listed");
    let node = agent.get("/").body;
    assert!(node.contains("its page requests them"), "{node}");
    let page = agent.get("/pods/shop/cart").body;
    assert!(page.contains("redirect: "), "{page}");
    assert!(page.contains("Conditions"), "{page}");
    let walk = agent
        .get("/walk?pod=shop/cart&packet=out+tcp+192.0.2.1:80+uid+1000")
        .body;
    assert!(walk.contains("The walk"), "{walk}");
    let metrics = agent.get("/metrics").body;
    assert!(
        metrics.lines().any(|line| line == "mesh_cni_large_pods 1"),
        "{metrics}"
    );
}

/// Starts an agent whose policy reads the labels of namespaces.
fn start_with_selector(server: &ApiServer) -> Agent {
    Agent::start_on_node(|directory| {
        let entry = directory.join("entry.json");
        fs::write(&entry, r#"{"exclude_namespace_selector": "mesh=off"}"#).unwrap();
        let kubeconfig = server.kubeconfig(directory);
        let flags = [
            "--install",
            "false",
            "--conf-entry",
            entry.to_str().unwrap(),
            "--api-kubeconfig",
            kubeconfig.to_str().unwrap(),
        ];
        flags.map(str::to_owned).to_vec()
    })
}

#[test]
fn the_page_decides_with_the_labels_of_namespaces() {
    for large in [false, true] {
        let cart = pod("cart", "cart-1");
        let cart = if large {
            with_large_settings(cart)
        } else {
            cart
        };
        let server = ApiServer::new([cart]);
        server.namespace(json!({"metadata": {"name": "shop", "labels": {"mesh": "off"}}}));
        let agent = start_with_selector(&server);
        agent.wait_for_line("watch: listed");
        agent.wait_for_line("watch: listed");
        let page = agent.get("/pods/shop/cart").body;
        let skip = "skip: the labels of namespace";
        assert!(page.contains(skip), "{page}");
        if !large {
            let node = agent.get("/").body;
            assert!(node.contains("the labels of namespace"), "{node}");
        }
    }
}

#[test]
fn an_agent_that_never_receives_the_namespaces_is_not_ready() {
    let server = ApiServer::new([pod("cart", "cart-1")]);
    for _ in 0..50 {
        server.fail("/api/v1/namespaces?", Fault::Status(403));
    }
    let agent = start_with_selector(&server);
    agent.wait_for_line("watch: the API server answered 403");
    agent.wait_for_any_line("watch: listed");
    let ready = agent.get("/readyz/watch");
    assert_eq!(ready.code, 503, "{ready:?}");
    let why = "the namespaces are not known yet: the API server answered 403";
    assert!(ready.body.contains(why), "{ready:?}");
}
