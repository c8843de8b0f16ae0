//! The table, the filter and the JSON document, from pods and answers.

use mesh_cni_agent_api::{
    AmbientPod, AmbientState, ListedPod, PodList, PodListSource, Refusals, RulesApplied,
};
use mesh_cni_kube::object::Object;
use mesh_cni_plan::MeshConf;
use serde_json::{Value, json};

use super::document::{Printer, Tail};
use super::{Answers, ClusterPod, Filter, Row};
use crate::arguments::Output;
use crate::console::Console;

/// Compares with `tests/snapshots/NAME.snap`. The description says what a reviewer checks.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../../tests/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}

fn pod(name: &str, node: Option<&str>, containers: &[&str], annotations: &Value) -> ClusterPod {
    let containers: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    let mut pod = json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-of-{name}"),
            "annotations": {"sidecar.istio.io/status": "{}"},
        },
        "spec": {"containers": containers},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.7"}]},
    });
    for (key, value) in annotations.as_object().into_iter().flatten() {
        pod["metadata"]["annotations"][key] = value.clone();
    }
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    }
    ClusterPod::from_object(&pod).expect("a pod")
}

fn ambient_pod(name: &str) -> ClusterPod {
    let pod = json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-of-{name}"),
            "labels": {"istio.io/dataplane-mode": "ambient"},
        },
        "spec": {"containers": [{"name": "app"}], "nodeName": "node-1"},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.7"}]},
    });
    ClusterPod::from_object(&pod).expect("a pod")
}

fn listed(name: &str, rules: RulesApplied, detail: Option<&str>) -> ListedPod {
    ListedPod {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: Some(format!("uid-of-{name}")),
        rules,
        rules_detail: detail.map(str::to_owned),
        ..ListedPod::default()
    }
}

fn rows() -> (Vec<Row>, Answers) {
    let mesh = ["app", "istio-proxy"];
    let bad = json!({"traffic.sidecar.istio.io/includeInboundPorts": "8o\u{1b}"});
    let pods = [
        ambient_pod("ambient"),
        pod("cart", Some("node-1"), &mesh, &json!({})),
        pod("catalogue", Some("node-1"), &mesh, &json!({})),
        pod("job", Some("node-1"), &["app"], &json!({})),
        pod("new", None, &mesh, &json!({})),
        pod("refused", Some("node-1"), &mesh, &bad),
        pod("till", Some("node-2"), &mesh, &json!({})),
        pod("unwatched", Some("node-3"), &mesh, &json!({})),
    ];
    let mut list = PodList::new("node-1", PodListSource::Watch);
    let mut refused = listed(
        "refused",
        RulesApplied::Unknown,
        Some("no process of the pod is visible"),
    );
    refused.refusals = Some(Refusals {
        count: 4,
        code: "102".to_owned(),
        message: String::new(),
    });
    let mut ambient = listed("ambient", RulesApplied::Yes, None);
    ambient.ambient = Some(AmbientPod {
        state: AmbientState::Broken,
        detail: Some("no ztunnel is connected to the agent; check it [ztunnel]".to_owned()),
    });
    list.pods = vec![
        ambient,
        listed("cart", RulesApplied::Yes, None),
        listed(
            "catalogue",
            RulesApplied::Drifted,
            Some("table nat: chain ISTIO_OUTPUT is missing"),
        ),
        listed("job", RulesApplied::No, None),
        refused,
    ];
    let mut answers = Answers::default();
    answers.add("node-1", Ok(list), None);
    answers.add(
        "node-2",
        Err("the program did not end within 15 s".to_owned()),
        None,
    );
    let conf = r#"{"name": "k8s", "cniVersion": "1.0.0", "type": "mesh-cni", "profile": ["asm", "ambient"]}"#;
    let conf = MeshConf::from_json(conf).expect("a configuration").conf;
    let rows = pods.iter().map(|pod| Row::new(pod, &conf, &answers));
    (rows.collect(), answers)
}

fn printed(output: Output, rows: Vec<Row>, answers: &Answers) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::new(&mut out, &mut err);
    let mut printer = Printer::new(output);
    for row in rows {
        printer.row(row, &mut console).expect("a vector takes it");
    }
    let tail = Tail::new(
        printer.count(),
        answers,
        vec!["\"a\"/\"b\": too large".to_owned()],
    );
    printer
        .finish(&tail, &mut console)
        .expect("a vector takes it");
    String::from_utf8(out).expect("text")
}

#[test]
fn every_state_of_a_pod_has_a_row() {
    let (rows, answers) = rows();
    assert_snapshot!(
        "pods",
        "each decision and each state of the rules with its reason; columns are aligned",
        printed(Output::Text, rows, &answers)
    );
}

#[test]
fn a_filter_keeps_the_pods_that_match_all_its_parts() {
    let (rows, _) = rows();
    let names = |filter: &Filter| -> Vec<&str> {
        let found = rows.iter().filter(|row| filter.matches(row));
        found.map(|row| row.name.as_str()).collect()
    };
    let text = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let none = Filter::default;
    assert_eq!(names(&none()).len(), rows.len());
    for (filter, expected) in [
        (
            Filter {
                rules: text(&["drifted", "no"]),
                ..none()
            },
            text(&["catalogue", "job", "new"]),
        ),
        (
            Filter {
                decision: text(&["refuse"]),
                ..none()
            },
            text(&["refused"]),
        ),
        (
            Filter {
                mesh: Some("none".to_owned()),
                ..none()
            },
            text(&["job"]),
        ),
        (
            Filter {
                decision: text(&["enrol"]),
                mesh: Some("ambient".to_owned()),
                ..none()
            },
            text(&["ambient"]),
        ),
        (
            Filter {
                node: Some("node-1".to_owned()),
                rules: text(&["unknown"]),
                ..none()
            },
            text(&["refused"]),
        ),
    ] {
        assert_eq!(names(&filter), expected, "{filter:?}");
    }
}

#[test]
fn the_json_document_is_complete_also_without_pods() {
    let (rows, answers) = rows();
    let parse = |text: String| serde_json::from_str::<Value>(&text).expect(&text);
    let document = parse(printed(Output::Json, rows, &answers));
    assert_eq!(document["total"], 8);
    assert_eq!(document["pods"][2]["rules"], "drifted");
    assert_eq!(document["pods"][5]["refusals"]["count"], 4);
    assert_eq!(document["unanswered"][0]["node"], "node-2");
    let none = parse(printed(Output::Json, Vec::new(), &answers));
    assert_eq!((&none["pods"], &none["total"]), (&json!([]), &json!(0)));
}
