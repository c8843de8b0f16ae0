//! The list of the node's pods: whether each has its rules.

use serde_json::{Value, json};

use crate::broken_pod::{BrokenPod, meshed, set_status};
use crate::cluster::Cluster;

#[test]
fn the_list_and_the_page_show_whether_each_pod_has_its_rules() {
    let mut cluster = Cluster::new(&[]);
    let whole = BrokenPod::create(&cluster.api, "whole");
    whole.program(&whole.wanted());
    let drifted = BrokenPod::create(&cluster.api, "drifted");
    drifted.program(&drifted.wanted()[..1]);
    let mut manifest = meshed("skipped");
    manifest["spec"]["containers"] = json!([{"name": "app", "image": "none"}]);
    let _skipped = BrokenPod::create_from(&cluster.api, manifest.clone());
    // Its settings have changed since it started.
    manifest["metadata"]["name"] = json!("skipped-later");
    let later = BrokenPod::create_from(&cluster.api, manifest);
    later.program(&whole.wanted());
    let _elsewhere = BrokenPod::create(&cluster.api, "elsewhere");
    let address = json!({"podIP": "10.99.8.8", "podIPs": [{"ip": "10.99.8.8"}]});
    set_status(&cluster.api, "elsewhere", &address);
    cluster.start_agent(&[]);
    let response = cluster.page("/v1/pods");
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let list: Value = serde_json::from_str(body).unwrap();
    let field = |pod: &Value, name: &str| pod[name].as_str().unwrap_or_default().to_owned();
    let pods = list["pods"].as_array().unwrap().iter();
    let found: Vec<_> = pods
        .map(|pod| ["name", "decision", "rules", "rules_detail"].map(|name| field(pod, name)))
        .collect();
    let expected = [
        ["drifted", "redirect", "drifted", "chain"],
        [
            "elsewhere",
            "redirect",
            "unknown",
            "none of the pod's addresses is in the namespace",
        ],
        ["skipped", "skip", "no", ""],
        ["skipped-later", "skip", "drifted", "should not be there"],
        ["whole", "redirect", "yes", ""],
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found[..3], expected[..3]);
        assert!(found[3].contains(expected[3]), "{found:?}");
        assert_eq!(found[3].is_empty(), expected[3].is_empty(), "{found:?}");
    }
    let page = cluster.page("/");
    assert!(
        page.contains("<span class=\"word good\">yes</span>"),
        "{page}"
    );
    assert!(
        page.contains("<span class=\"word bad\">drifted</span>"),
        "{page}"
    );
}
