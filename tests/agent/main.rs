//! The plugin, the agent and a real API server together: an ADD asks the agent, and the agent watches
//! with its own service account. Unknown facts are never guessed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod faults;
mod hostile;
#[cfg(feature = "root-tests")]
mod listeners;
#[cfg(feature = "root-tests")]
mod memory;
mod node;

use std::process::Command;
use std::thread;

use mesh_cni_tests::{finish, mesh_cnictl};
use serde_json::json;

use node::{MESHED, Node, PLAIN, passed};

#[test]
fn a_thousand_adds_cause_no_request_to_the_api_server() {
    const THREADS: usize = 4;
    const ADDS: usize = 250;
    let mut node = Node::start();
    let plain = node.pod("plain", PLAIN);
    let meshed = node.pod("meshed", MESHED);
    let before = node.api.requests_of("kube-system", "mesh-cni");
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
    // A watch that ends is opened again.
    let asked = node.api.requests_of("kube-system", "mesh-cni");
    let mut since = asked[before.len()..].iter();
    assert!(
        since.all(|words| words.starts_with("watch /api/v1/pods?")),
        "{asked:#?}"
    );
    let metrics = node.agent.client().get("/metrics").unwrap();
    let adds = r#"mesh_cni_adds_total{decision="skip",reason="no-istio-proxy"} 1000"#;
    assert!(metrics.contains(adds), "{metrics}");
}

#[test]
fn a_recreated_pod_never_gets_facts_of_its_predecessor() {
    let mut node = Node::start();
    let first = node.pod("cart", MESHED);
    node.api.must("delete pod cart --grace-period=0 --force");
    let second = node.pod("cart", PLAIN);
    assert!(passed(&node.add("cart", &second)));
    let late = node.add("cart", &first);
    assert_eq!(late["code"], 11, "{late}");
}

#[test]
fn a_wrong_name_is_answered_with_the_names_of_the_agents_pods() {
    let mut node = Node::start();
    for name in [
        "cart-6b9f5d4f7c-x2k8q",
        "cart-6b9f5d4f7c-9wbzd",
        "database-0",
    ] {
        node.pod(name, MESHED);
    }
    let conf = node.directory.path().join("entry.json");
    let entry = json!({"type": "mesh-cni", "cni_agent_run_dir": node.agent.client().run_dir});
    std::fs::write(&conf, entry.to_string()).unwrap();
    let carts = "default/cart-6b9f5d4f7c-9wbzd, default/cart-6b9f5d4f7c-x2k8q";
    let packet = "--packet=out tcp 10.0.0.7:9080";
    for (arguments, pod, names) in [
        // A Deployment's name, an earlier pod's, a wrong namespace, and a StatefulSet's name.
        (&["verify"][..], "default/cart", carts),
        (
            &["explain", packet],
            "default/cart-6b9f5d4f7c-x2k8p",
            "default/cart-6b9f5d4f7c-x2k8q",
        ),
        (&["render"], "defualt/database-0", "default/database-0"),
        (&["select"], "default/database", "default/database-0"),
    ] {
        let mut command = Command::new(mesh_cnictl());
        command.env_remove("KUBECONFIG").args(arguments);
        command.args(["--pod", pod, "--conf"]).arg(&conf);
        let ended = finish(&mut command, "");
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        for text in [
            format!("agent.sock` knows no pod {pod}"),
            format!("pods with similar names: {names}"),
        ] {
            let stderr = &ended.stderr;
            assert!(stderr.contains(&text), "{arguments:?}: {stderr}");
        }
    }
}

#[test]
fn the_plugin_can_ask_the_api_server_itself() {
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

    // Without an agent, `auto` asks the API server if there is a kubeconfig.
    let nowhere = node.directory.path().join("nowhere");
    let mut auto = json!({"pod_source": "auto", "cni_agent_run_dir": nowhere});
    let away = node.add_with(&auto, "plain", &plain);
    assert_eq!(away["code"], 11, "{away}");
    auto["kubeconfig"] = json!(kubeconfig);
    let answer = node.add_with(&auto, "plain", &plain);
    assert!(passed(&answer), "{answer}");

    let no_token = node.directory.path().join("no-token.kubeconfig");
    std::fs::write(&no_token, node.api.kubeconfig_with("no-token")).unwrap();
    let refused = json!({"pod_source": "api", "kubeconfig": no_token});
    let refused = node.add_with(&refused, "plain", &plain);
    assert_eq!(refused["code"], 11);
    assert!(
        refused["msg"].as_str().unwrap().contains("status 401"),
        "{refused}"
    );
}

/// The agent of these tests serves another mesh, and reads no namespaces.
#[test]
fn the_annotations_of_the_namespace_are_settings_of_a_pod_of_linkerd() {
    let mut node = Node::start();
    let uid = node.pod(
        "web",
        "{name: app, image: none}, {name: linkerd-proxy, image: none}",
    );
    node.api
        .must("annotate namespace default config.linkerd.io/skip-outbound-ports=mysql");
    let without_right = node.api.kubeconfig_of("kube-system", "mesh-cni");
    let all_rights = node.api.kubeconfig();
    for (source, kubeconfig, code, text) in [
        ("agent", None, 11, "no `namespace_annotations`"),
        ("api", Some(without_right), 11, "status 403"),
        (
            "api",
            Some(all_rights),
            7,
            "skip-outbound-ports of the namespace",
        ),
    ] {
        let fields = json!({"pod_source": source, "profile": "linkerd", "kubeconfig": kubeconfig});
        let refused = node.add_with(&fields, "web", &uid);
        assert_eq!(refused["code"], code, "{refused}");
        assert!(refused["msg"].as_str().unwrap().contains(text), "{refused}");
    }
}
