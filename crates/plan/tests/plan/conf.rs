//! The network configuration: fields that are read, refused or ignored.

use std::error::Error;

use mesh_cni_plan::{ConfError, Decoded, MeshConf};
use mesh_cni_rules::istio::Dialect;
use mesh_cni_selector::SelectionMode;
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode(entry: &Value) -> Result<Decoded, ConfError> {
    MeshConf::decode(entry.as_object().expect("an entry is an object"))
}

fn refusal(entry: &Value) -> String {
    let error = decode(entry).expect_err("the entry is invalid");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn an_entry_without_fields_has_the_defaults() {
    let conf = decode(&json!({"type": "mesh-cni"})).unwrap().conf;
    assert_eq!(conf, MeshConf::default());
    assert_eq!(conf.policy().selection, SelectionMode::Asm);
    assert_eq!(conf.dialect(), Dialect::Asm);
    assert!(conf.policy().exclude_by_name("kube-system").is_some());
}

#[test]
fn the_fields_of_an_istio_cni_entry_are_accepted() {
    let decoded = decode(&json!({
        "cniVersion": "1.0.0", "name": "k8s", "type": "mesh-cni", "prevResult": {},
        "plugin_log_level": "debug", "exclude_namespaces": ["istio-system", "kube-*"],
        "cni_agent_run_dir": "/var/run/istio-cni", "pod_namespace": "istio-system",
        "ambient_enabled": false, "cni.dev/attachments": []
    }))
    .unwrap();
    assert_eq!(decoded.unknown, ["ambient_enabled"]);
    let policy = decoded.conf.policy();
    assert!(policy.exclude_by_name("kube-public").is_some());
    assert!(policy.exclude_by_name("default").is_none());
}

#[test]
fn single_fields_override_the_profile() {
    let conf = decode(&json!({"profile": "istio"})).unwrap().conf;
    assert_eq!(
        (conf.policy().selection, conf.dialect()),
        (SelectionMode::Istio, Dialect::Istio)
    );
    let conf = decode(&json!({"profile": "istio", "ruleset": "asm"}))
        .unwrap()
        .conf;
    assert_eq!(
        (conf.policy().selection, conf.dialect()),
        (SelectionMode::Istio, Dialect::Asm)
    );
    let conf = decode(&json!({"selection": "asm-literal"})).unwrap().conf;
    assert_eq!(
        (conf.policy().selection, conf.dialect()),
        (SelectionMode::AsmLiteral, Dialect::Asm)
    );
}

#[test]
fn an_invalid_field_is_refused_by_its_name() {
    let entries = [
        json!({"exclude_namespaces": "kube-system"}),
        json!({"exclude_namespaces": ["ok", 7]}),
        json!({"exclude_namespaces": ["Not A Namespace"]}),
        json!({"exclude_namespace_selector": "a=b,,c"}),
        json!({"plugin_log_level": "loud"}),
        json!({"profile": "consul"}),
        json!({"profile": []}),
        json!({"profile": ["linkerd", "osm"]}),
        json!({"profile": ["istio", "linkerd", "asm"]}),
        json!({"profile": 7}),
        json!({"selection": "none"}),
        json!({"backend": "iptables"}),
        json!({"pod_source": "rumour"}),
        json!({"standalone": "yes"}),
        json!({"defaults": {"excludeOutboundPorts": 15020}}),
        json!({"defaults": {"excludePorts": "15020"}}),
        json!({"defaults": {"excludeOutboundPorts": "15020,http"}}),
        json!({"defaults": {
            "excludeOutboundPorts": "1",
            "traffic.sidecar.istio.io/excludeOutboundPorts": "2"
        }}),
    ];
    let refusals: Vec<_> = entries.iter().map(refusal).collect();
    crate::assert_snapshot!(
        "conf-refusals",
        "one line for each invalid entry: the field, its value, and the allowed values",
        refusals.join("\n")
    );
}

#[test]
fn an_entry_is_read_from_text_and_from_a_list() {
    let entry = r#"{"type": "mesh-cni", "profile": "istio", "unknown": 1}"#;
    let list = format!(r#"{{"plugins": [{{"type": "bridge"}}, {entry}, {{"type": "mesh-cni"}}]}}"#);
    for decoded in [MeshConf::from_json(entry), MeshConf::from_list(&list)] {
        let decoded = decoded.unwrap();
        assert_eq!(decoded.conf.dialect(), Dialect::Istio);
        assert_eq!(decoded.unknown, ["unknown"]);
    }
    for text in ["", "[]", "{\"plugins\": 1}", entry] {
        let error = MeshConf::from_list(text).unwrap_err();
        assert!(matches!(error, ConfError::Json(_)), "{text}: {error}");
    }
    let error = MeshConf::from_list(r#"{"plugins": [7, {"type": "bridge"}]}"#).unwrap_err();
    assert!(matches!(error, ConfError::NoEntry), "{error}");
}

proptest! {
    #[test]
    fn no_entry_panics(field in "[a-z_]{1,30}", text in "\\PC*", number in any::<f64>()) {
        for value in [json!(text), json!([text]), json!({ text.as_str(): number }), json!(number)] {
            let entry = json!({ field.as_str(): value, "defaults": { text.as_str(): value } });
            let _outcome = decode(&entry);
        }
    }
}
