//! Text of pods with control and format characters: escaped in the result, in the log and on stderr.

use std::fs;

use mesh_cni_text::is_printable;
use serde_json::{Value, json};

use crate::support::{Call, Node};

/// Characters that change how a terminal shows a text, with their escapes.
const HOSTILE: [(char, &str); 10] = [
    ('\u{202e}', r"\u{202e}"),
    ('\u{2066}', r"\u{2066}"),
    ('\u{200b}', r"\u{200b}"),
    ('\u{feff}', r"\u{feff}"),
    ('\u{2028}', r"\u{2028}"),
    ('\u{2029}', r"\u{2029}"),
    ('\u{1b}', r"\u{1b}"),
    ('\u{7f}', r"\u{7f}"),
    ('\u{9b}', r"\u{9b}"),
    ('\u{e0001}', r"\u{e0001}"),
];

/// Runs the call. Everything that it prints must be printable and contain the escape.
fn assert_escaped(node: &Node, call: &Call, escape: &str) {
    let output = call.run();
    let log = fs::read_to_string(node.path().join("run/plugin.log")).unwrap_or_default();
    for text in [&output.stdout, &output.stderr, &log] {
        let is_shown = |character| character == '\n' || is_printable(character);
        assert!(text.chars().all(is_shown), "{text:?}");
    }
    let reported = if output.code == 0 {
        log
    } else {
        output.json()["msg"].as_str().unwrap().to_owned()
    };
    assert!(reported.contains(escape), "{reported}");
}

fn pod(annotations: &Value, containers: &Value) -> String {
    json!({
        "kind": "Pod",
        "metadata": {"name": "productpage", "namespace": "default", "annotations": annotations},
        "spec": {"containers": containers},
    })
    .to_string()
}

#[test]
fn values_of_annotations() {
    let containers = json!([{"name": "app"}, {"name": "istio-proxy"}]);
    for (character, escape) in HOSTILE {
        let ports = format!("22,8{character}0");
        let annotations = json!({"traffic.sidecar.istio.io/excludeInboundPorts": ports});
        let node = Node::new();
        node.write_pod("default_productpage.yaml", &pod(&annotations, &containers));
        assert_escaped(&node, &node.call("ADD"), escape);
    }
}

#[test]
fn names_of_containers() {
    for (character, escape) in HOSTILE {
        let containers = json!([{"name": format!("istio{character}-proxy")}]);
        let node = Node::new();
        node.write_pod("default_productpage.yaml", &pod(&json!({}), &containers));
        assert_escaped(&node, &node.call("ADD"), escape);
    }
}

#[test]
fn names_of_namespaces() {
    let node = Node::new();
    for (character, escape) in HOSTILE {
        let args = format!("K8S_POD_NAMESPACE=de{character}fault;K8S_POD_NAME=productpage");
        assert_escaped(&node, &node.call("ADD").with("CNI_ARGS", &args), escape);
    }
}

#[test]
fn fields_of_the_configuration() {
    let node = Node::new();
    for (character, escape) in HOSTILE {
        let mut conf = node.conf();
        conf["backend"] = json!(format!("net{character}link"));
        assert_escaped(&node, &node.call("ADD").conf(&conf), escape);
    }
}

#[test]
fn errors_of_manifests() {
    for (character, escape) in HOSTILE {
        let anchor = format!("kind: *unknown{character}anchor\n");
        let wrong_kind = json!({"kind": format!("Po{character}d")}).to_string();
        let wrong_type = pod(&json!({}), &json!(format!("{character}")));
        for manifest in [&wrong_kind, &wrong_type] {
            let node = Node::new();
            node.write_pod("default_productpage.yaml", manifest);
            assert_escaped(&node, &node.call("ADD"), escape);
        }
        // The parser may refuse the character itself, without repeating it.
        let node = Node::new();
        node.write_pod("default_productpage.yaml", &anchor);
        assert_escaped(&node, &node.call("ADD"), "");
    }
}
