//! The plugin, the agent and a real API server together: an ADD asks the agent, the agent watches
//! under its own service account, and what one of them does not know, nobody guesses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod faults;
mod node;

use std::thread;

use serde_json::json;

use node::{MESHED, Node, PLAIN, passed};

#[test]
fn a_thousand_adds_ask_the_agent_and_the_agent_asks_nobody() {
    const THREADS: usize = 4;
    const ADDS: usize = 250;
    let mut node = Node::start();
    let plain = node.pod("plain", PLAIN);
    let meshed = node.pod("meshed", MESHED);
    let before = node.api.asked_by("kube-system", "mesh-cni");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ADDS {
                    assert!(passed(&node.add("plain", &plain)));
                }
            });
        }
    });
    let reached = node.add("meshed", &meshed);
    assert_eq!(
        reached["code"], 103,
        "it gets as far as the namespace: {reached}"
    );
    // A watch that has lasted its time is opened anew.
    let asked = node.api.asked_by("kube-system", "mesh-cni");
    let mut since = asked[before.len()..].iter();
    assert!(
        since.all(|words| words.starts_with("watch /api/v1/pods?")),
        "{asked:#?}"
    );
    let metrics = node.agent.door().ask("/metrics").unwrap();
    let adds = r#"mesh_cni_adds_total{decision="skip",reason="no-istio-proxy"} 1000"#;
    assert!(metrics.contains(adds), "{metrics}");
}

#[test]
fn a_pod_made_again_never_gets_what_its_predecessor_had() {
    let mut node = Node::start();
    let first = node.pod("cart", MESHED);
    node.api.must("delete pod cart --grace-period=0 --force");
    let second = node.pod("cart", PLAIN);
    assert!(passed(&node.add("cart", &second)));
    let late = node.add("cart", &first);
    assert_eq!(late["code"], 11, "{late}");
}

#[test]
fn the_plugin_itself_asks_the_api_server() {
    let mut node = Node::start();
    let kubeconfig = node.api.kubeconfig_of("kube-system", "mesh-cni");
    let from_api = json!({"pod_source": "api", "kubeconfig": kubeconfig});
    let plain = node.pod("plain", PLAIN);
    let meshed = node.pod("meshed", MESHED);
    let answer = node.add_with(&from_api, "plain", &plain);
    assert!(passed(&answer), "{answer}");
    assert_eq!(node.add_with(&from_api, "meshed", &meshed)["code"], 103);
    assert_eq!(node.add_with(&from_api, "plain", "another")["code"], 11);
    assert_eq!(node.add_with(&from_api, "none", "u-1")["code"], 11);

    // Without an agent, `auto` asks the API server where a kubeconfig says how.
    let nowhere = node.directory.path().join("nowhere");
    let mut auto = json!({"pod_source": "auto", "cni_agent_run_dir": nowhere});
    let away = node.add_with(&auto, "plain", &plain);
    assert_eq!(away["code"], 11, "{away}");
    auto["kubeconfig"] = json!(kubeconfig);
    let answer = node.add_with(&auto, "plain", &plain);
    assert!(passed(&answer), "{answer}");

    let stranger = node.directory.path().join("stranger.kubeconfig");
    std::fs::write(&stranger, node.api.kubeconfig_with("no-token")).unwrap();
    let refused = json!({"pod_source": "api", "kubeconfig": stranger});
    let refused = node.add_with(&refused, "plain", &plain);
    assert_eq!(refused["code"], 11);
    assert!(
        refused["msg"].as_str().unwrap().contains("answers 401"),
        "{refused}"
    );
}
