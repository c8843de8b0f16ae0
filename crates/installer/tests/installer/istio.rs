//! Plans for nodes with Istio CNI.

use mesh_cni_installer::{NodeState, Refusal, Settings, plan_install};
use serde_json::json;

use crate::assert_snapshot;
use crate::fixture::{
    dropping_in, entry, installing, node, options, owned_first, settings, stand_alone,
    uninstalling, uninstalling_as, with_binary, written,
};

const ISTIO: &str = r#"{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "mtu": 0},
    {
      "type": "istio-cni",
      "name": "istio-cni",
      "plugin_log_level": "debug",
      "cni_agent_run_dir": "/var/run/istio-cni",
      "ambient_enabled": false,
      "exclude_namespaces": ["istio-system", "kube-system"],
      "pod_namespace": "istio-system",
      "native_nftables": true
    },
    {"type": "portmap"}
  ]
}
"#;

fn with_istio() -> NodeState {
    NodeState {
        istio_binary: true,
        ..with_binary(node(&[("10-calico.conflist", ISTIO)]))
    }
}

/// Without settings of our own, so that all of Istio's settings are used.
fn replacing() -> Settings {
    let mut settings = settings();
    settings.entry = entry(json!({}));
    settings.replace_istio_cni = true;
    settings
}

fn replaced() -> NodeState {
    let list = written(&replacing(), &with_istio(), "10-calico.conflist");
    NodeState {
        istio_binary: true,
        ..with_binary(node(&[("10-calico.conflist", &list)]))
    }
}

#[test]
fn a_list_with_istio_cni_is_refused() {
    let refusals = [settings(), owned_first(), dropping_in(), stand_alone()]
        .map(|settings| installing(&settings, &with_istio()));
    assert_snapshot!(
        "istio-refused",
        "in every mode, with a remedy",
        refusals.join("\n")
    );
}

#[test]
fn the_entry_is_replaced_in_one_edit() {
    assert_snapshot!(
        "istio-replaced",
        "our entry between calico and portmap with Istio's log level, namespaces and nft-native, \
         but not its run directory and namespace; the old entry is kept in the list",
        installing(&replacing(), &with_istio())
    );
    let mut own = replacing();
    own.entry = entry(json!({"exclude_namespaces": ["mine"]}));
    let list = written(&own, &with_istio(), "10-calico.conflist");
    assert!(
        list.contains("mine") && list.contains("nft-native"),
        "{list}"
    );
}

#[test]
fn a_replaced_entry_needs_no_step() {
    let plan = plan_install(&replacing(), &replaced()).unwrap();
    assert_eq!(plan.steps, []);
    let mut without_the_flag = replacing();
    without_the_flag.replace_istio_cni = false;
    let plan = plan_install(&without_the_flag, &replaced()).unwrap();
    assert_eq!(plan.steps, []);
}

#[test]
fn an_entry_that_istio_adds_again_is_replaced_again() {
    let list = written(&replacing(), &with_istio(), "10-calico.conflist");
    let theirs = r#"{"type": "istio-cni", "plugin_log_level": "info"}"#;
    let again = list.replace(
        r#"{
      "type": "portmap""#,
        &format!("{theirs}, {{\"type\": \"portmap\""),
    );
    assert_ne!(again, list);
    let text = written(
        &replacing(),
        &node(&[("10-calico.conflist", &again)]),
        "10-calico.conflist",
    );
    assert_eq!(text.matches("\"type\": \"mesh-cni\"").count(), 1, "{text}");
    assert_eq!(text.matches("\"type\": \"istio-cni\"").count(), 1, "{text}");
}

#[test]
fn the_entry_is_replaced_in_a_copy() {
    let mut settings = replacing();
    settings.chaining = owned_first().chaining;
    assert_snapshot!(
        "istio-replaced-in-copy",
        "our entry is in the copy, Istio's list is unchanged",
        installing(&settings, &with_istio())
    );
}

#[test]
fn modes_that_cannot_replace_the_entry_refuse() {
    for mode in [dropping_in().chaining, stand_alone().chaining] {
        let mut settings = replacing();
        settings.chaining = mode;
        let refusal = plan_install(&settings, &with_istio()).unwrap_err();
        assert!(
            matches!(refusal, Refusal::IstioCniNotReplaceable { .. }),
            "{refusal}"
        );
    }
}

#[test]
fn uninstall_restores_the_entry_if_requested() {
    let mut restoring = options();
    restoring.restore_istio_cni = true;
    assert_snapshot!(
        "istio-restored",
        "Istio's original entry is between calico and portmap, and nothing of ours remains",
        uninstalling_as(&replaced(), &restoring)
    );
    assert_snapshot!(
        "istio-forgotten",
        "without the option, neither entry remains",
        uninstalling(&replaced())
    );
    let gone = NodeState {
        istio_binary: false,
        ..replaced()
    };
    assert_snapshot!(
        "istio-gone",
        "refused: a list must not name a missing binary",
        uninstalling_as(&gone, &restoring)
    );
}
