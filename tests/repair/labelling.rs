//! Repair by labelling: a broken pod has the label until it is repaired.

use serde_json::json;

use crate::broken_pod::{create, failing, meshed, set_status};
use crate::cluster::Cluster;

const OPTIONS: &[&str] = &[
    "repair.repairPods=false",
    "repair.labelPods=true",
    r#"repair.brokenPodLabelKey="mesh/broken""#,
    r#"repair.initContainerName="proof""#,
];

#[test]
fn a_pod_whose_validation_fails_is_labelled_until_it_passes() {
    let mut cluster = Cluster::new(OPTIONS);
    let cart = create(&cluster.api, &meshed("cart"));
    let mut status = failing(1);
    status["initContainerStatuses"][0]["name"] = json!("proof");
    set_status(&cluster.api, "cart", &status);
    cluster.start_agent(&["--plugin-log-level", "debug"]);
    cluster.wait_for_metric(r#"mesh_cni_repairs_total{type="label",result="success"} 1"#);
    cluster.wait_for_log(&["it stays broken: it is broken and labelled"]);
    let label = |cluster: &Cluster| {
        let pod = cluster.api.get("pod cart");
        pod["metadata"]["labels"]["mesh/broken"].clone()
    };
    assert_eq!(label(&cluster), "true");
    assert_eq!(cluster.status()["broken"], 1);

    status["initContainerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 0}});
    set_status(&cluster.api, "cart", &status);
    cluster.wait_for_metric(r#"mesh_cni_repairs_total{type="unlabel",result="success"} 1"#);
    assert_eq!(label(&cluster), json!(null));
    assert_eq!(cluster.status()["broken"], 0);
    let events = cluster.events(&cart);
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].starts_with("Normal LabelledBroken: "),
        "{events:?}"
    );
    assert!(events[1].starts_with("Normal LabelRemoved: "), "{events:?}");
}
