//! Sandboxes in the caches of the runtime and of Multus.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_cni_installer::{Sandboxes, read_sandboxes};
use serde_json::json;

use crate::nested::{CHAINED, CLEAN, ENTRY, nesting_files};
use crate::node::Node;

/// A cached attachment of libcni.
fn attachment(sandbox: &str, conf: &str) -> String {
    let config = STANDARD.encode(conf);
    json!({"kind": "cniCacheV1", "containerId": sandbox, "config": config}).to_string()
}

#[test]
fn sandboxes_are_found_in_every_cache() {
    let [(_, multus, _), ..] = nesting_files();
    // libcni loads it, and this program does not.
    let deep = CHAINED.replace(
        "\"type\": \"calico\"",
        &format!(
            "\"type\": \"a\", \"x\": {}{}",
            "[".repeat(200),
            "]".repeat(200)
        ),
    );
    let scratch = json!([{"Conf": {"name": "x"}, "Bytes": STANDARD.encode(CHAINED)}]).to_string();
    let files = [
        // The same sandbox in all of them counts once.
        ("results/m-one-eth0", attachment("one", &multus)),
        ("multus/results/k8s-one-eth0", attachment("one", CHAINED)),
        ("multus/one", scratch.clone()),
        // Only Multus knows this one, and this one only its directory of sandboxes.
        ("multus/results/k8s-two-net1", attachment("two", ENTRY)),
        ("multus/three", scratch),
        ("results/k8s-four-eth0", attachment("four", CHAINED)),
        ("results/k8s-other-eth0", attachment("other", CLEAN)),
        ("multus/results/k8s-other-eth0", attachment("other", CLEAN)),
        ("networks/last_reserved_ip.0", "10.0.0.1".to_owned()),
        ("results/half", "{".to_owned()),
        ("results/k8s-five-eth0", attachment("five", &deep)),
    ];
    for (expected, count) in [(1, 3), (2, 4), (3, 5), (4, 6), (4, 10), (5, 11)] {
        let node = Node::new();
        for (name, text) in &files[..count] {
            let path = node.paths.cache_dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(node.paths.cache_dir.join("results")).unwrap();
        let not_text = node.paths.cache_dir.join("results/not-text");
        fs::write(not_text, b"\xff\xfe").unwrap();
        let found = read_sandboxes(&node.paths.cache_dir).unwrap();
        assert_eq!(found, Sandboxes::Counted(expected), "{count}");
    }
}
