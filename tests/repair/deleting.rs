//! Repair by deletion: gracefully, one pod at a time, and only pods that a controller re-creates.

use serde_json::json;

use crate::broken_pod::{create, failing, meshed, running, set_status};
use crate::cluster::Cluster;

const OPTIONS: &[&str] = &["repair.repairPods=false", "repair.deletePods=true"];

#[test]
fn a_pod_with_failed_validation_is_deleted_if_a_controller_recreates_it() {
    let mut cluster = Cluster::new(OPTIONS);
    let mut bare = meshed("bare");
    bare["metadata"]["ownerReferences"] = json!([]);
    let mut mirror = meshed("mirror");
    mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("0123");
    for manifest in [&bare, &mirror] {
        create(&cluster.api, manifest);
    }
    let cart = create(&cluster.api, &meshed("cart"));
    create(&cluster.api, &meshed("sound"));
    for name in ["bare", "mirror", "cart"] {
        set_status(&cluster.api, name, &failing(1));
    }
    set_status(&cluster.api, "sound", &running());
    cluster.start_agent(&["--plugin-log-level", "debug"]);
    cluster.wait_for_metric(r#"mesh_cni_repairs_total{type="delete",result="success"} 1"#);
    let left = cluster.api.get("pod cart");
    assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(left["metadata"]["uid"], cart.as_str());
    let events = cluster.events(&cart);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Normal DeletedForRepair: "),
        "{events:?}"
    );

    cluster.wait_for_log(&["pod=\"bare\"", "it has no controller"]);
    cluster.wait_for_log(&["pod=\"mirror\"", "the kubelet runs it from a file"]);
    cluster.wait_for_log(&["pod=\"sound\"", "its validation does not fail"]);
    cluster.wait_for_log(&["pod=\"cart\"", "it is being deleted"]);
    for name in ["bare", "mirror", "sound"] {
        let pod = cluster.api.get(&format!("pod {name}"));
        assert_eq!(pod["metadata"]["deletionTimestamp"], json!(null), "{name}");
    }
    assert_eq!(cluster.status()["broken"], 2);
}
