//! What is planned beside and instead of Istio CNI.

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

/// With no setting of our own, so that every one that can be taken over is.
fn replacing() -> Settings {
    let mut settings = settings();
    settings.entry = entry(json!({}));
    settings.replace_istio_cni = true;
    settings
}

fn taken_over() -> NodeState {
    let list = written(&replacing(), &with_istio(), "10-calico.conflist");
    NodeState {
        istio_binary: true,
        ..with_binary(node(&[("10-calico.conflist", &list)]))
    }
}

#[test]
fn two_plugins_never_program_the_same_pod() {
    let refusals = [settings(), owned_first(), dropping_in(), stand_alone()]
        .map(|settings| installing(&settings, &with_istio()));
    assert_snapshot!(
        "istio-refused",
        "in every mode, with a way out",
        refusals.join("\n")
    );
}

#[test]
fn its_place_is_taken_in_one_edit() {
    assert_snapshot!(
        "istio-replaced",
        "ours between calico and portmap with log level, namespaces and nft-native; the run \
         directory and the namespace of Istio's agent are not ours; the old entry is remembered",
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
fn what_was_taken_over_stays_so() {
    let plan = plan_install(&replacing(), &taken_over()).unwrap();
    assert_eq!(plan.steps, []);
    let mut without_the_flag = replacing();
    without_the_flag.replace_istio_cni = false;
    let plan = plan_install(&without_the_flag, &taken_over()).unwrap();
    assert_eq!(plan.steps, []);
}

#[test]
fn an_entry_that_istio_puts_back_is_replaced_again() {
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
fn a_copy_of_ours_can_take_its_place_too() {
    let mut settings = replacing();
    settings.chaining = owned_first().chaining;
    assert_snapshot!(
        "istio-replaced-in-copy",
        "ours in the copy, Istio's own list is not touched",
        installing(&settings, &with_istio())
    );
}

#[test]
fn where_it_cannot_be_replaced_that_is_said() {
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
fn its_place_is_given_back_when_asked_for() {
    let mut restoring = options();
    restoring.restore_istio_cni = true;
    assert_snapshot!(
        "istio-restored",
        "Istio's entry as it was, between calico and portmap, and nothing of ours",
        uninstalling_as(&taken_over(), &restoring)
    );
    assert_snapshot!(
        "istio-forgotten",
        "without the flag, neither entry is left",
        uninstalling(&taken_over())
    );
    let gone = NodeState {
        istio_binary: false,
        ..taken_over()
    };
    assert_snapshot!(
        "istio-gone",
        "refused: a list must not name a binary that is not there",
        uninstalling_as(&gone, &restoring)
    );
}
