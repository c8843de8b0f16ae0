//! Editing configuration lists.

use mesh_cni_spec::{Change, ConfList};
use serde_json::{Value, json};

const CALICO_LIKE: &str = r#"{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "cniVersions": ["0.3.1", "1.0.0"],
  "disableCheck": "true",
  "plugins": [
    {
      "type": "main",
      "mtu": 0,
      "ratio": 1.50,
      "big": 123456789012345678901234567890,
      "kubernetes": {"kubeconfig": "/etc/k"},
      "ipam": {"type": "main-ipam"}
    },
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}}
  ],
  "unknown": null
}
"#;

fn entry(level: &str) -> Value {
    json!({"type": "ours", "log_level": level})
}

fn types(list: &ConfList) -> Vec<&str> {
    list.plugins()
        .iter()
        .filter_map(|plugin| plugin["type"].as_str())
        .collect()
}

#[test]
fn a_chained_plugin_is_added_at_the_end() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    assert_eq!(
        (list.name(), list.cni_version()),
        ("k8s-pod-network", Some("0.3.1"))
    );
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Appended);
    assert!(list.contains("ours"));
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
        description => "an edited list: ours is last; all other keys, their order, and the digits of 1.50 and of the long number are unchanged, as are cniVersion and cniVersions",
    }, {
        insta::assert_snapshot!("conf-list-appended", list.to_text());
    });
}

#[test]
fn an_entry_is_added_only_once() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Appended);
    let text = list.to_text();
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Unchanged);
    assert_eq!(list.to_text(), text);
    assert_eq!(list.set_chained(entry("debug")).unwrap(), Change::Replaced);
    assert_eq!(types(&list), ["main", "portmap", "ours"]);
    assert_eq!(list.plugins()[2], entry("debug"));
}

#[test]
fn duplicates_are_removed_and_the_first_is_replaced() {
    let text = r#"{"name":"n","plugins":[{"type":"a"},{"type":"ours"},{"type":"b"},{"type":"ours"},{"type":"ours","log_level":"info"}]}"#;
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Replaced);
    assert_eq!(types(&list), ["a", "ours", "b"]);
    assert_eq!(list.plugins()[1], entry("info"));
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.remove("ours"), Change::Removed);
    assert_eq!(types(&list), ["a", "b"]);
    assert_eq!(list.remove("ours"), Change::Unchanged);
    assert!(!list.remove("absent").is_change());
}

#[test]
fn removing_undoes_setting() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.to_text();
    list.set_chained(entry("info")).unwrap();
    list.remove("ours");
    assert_eq!(list.to_text(), before);
    assert_eq!(
        ConfList::parse(&before).unwrap().to_text(),
        before,
        "formatting again changes nothing"
    );
    let same: Value = serde_json::from_str(CALICO_LIKE).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&before).unwrap(), same);
}

#[test]
fn the_indentation_is_kept() {
    for (unit, text) in [
        ("\t", "{\n\t\"name\": \"n\",\n\t\"plugins\": []\n}\n"),
        ("    ", "{\n    \"name\": \"n\",\n    \"plugins\": []\n}\n"),
        ("  ", "{\"name\": \"n\", \"plugins\": []}"),
    ] {
        let expected = format!("{{\n{unit}\"name\": \"n\",\n{unit}\"plugins\": []\n}}\n");
        assert_eq!(ConfList::parse(text).unwrap().to_text(), expected);
    }
}

#[test]
fn a_single_plugin_becomes_a_list() {
    let text = r#"{"name":"n","cniVersion":"0.4.0","type":"bridge","mtu":1.0}"#;
    let mut list = ConfList::from_conf(text).unwrap();
    list.set_chained(entry("info")).unwrap();
    insta::assert_snapshot!(list.to_text().replace('\n', " "), @r#"{   "cniVersion": "0.4.0",   "name": "n",   "plugins": [     {       "name": "n",       "cniVersion": "0.4.0",       "type": "bridge",       "mtu": 1.0     },     {       "type": "ours",       "log_level": "info"     }   ] } "#);
}

#[test]
fn errors_contain_the_field() {
    let error = |text: &str| ConfList::parse(text).unwrap_err().to_string();
    assert_eq!(error("{"), "configuration list is not JSON");
    assert_eq!(error("[]"), "field `document` is `[]`, expected an object");
    assert_eq!(
        error("{}"),
        "field `name` is missing, expected a non-empty string"
    );
    assert_eq!(
        error(r#"{"name":"n"}"#),
        "field `plugins` is missing, expected a list of plugin configurations"
    );
    assert_eq!(
        error(r#"{"name":"n","plugins":[{"type":"a"},{}]}"#),
        "field `plugins[1].type` is missing, expected a non-empty string"
    );
    assert_eq!(
        error(r#"{"name":"n","plugins":[5]}"#),
        "field `plugins[0]` is `5`, expected an object"
    );
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.clone();
    let error = list
        .set_chained(json!({"name": "no type"}))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "field `entry.type` is missing, expected a non-empty string"
    );
    assert_eq!(list, before, "an error changes nothing");
    assert!(
        ConfList::from_conf(r#"{"name":"n","plugins":[]}"#).is_err(),
        "a list is not a single plugin"
    );
}

#[test]
fn one_plugin_replaces_another() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    list.set_chained(json!({"type": "main", "mtu": 1})).unwrap();
    let change = list.replace("main", entry("info")).unwrap();
    assert_eq!(
        (change, types(&list)),
        (Change::Replaced, vec!["ours", "portmap"])
    );
    let before = list.clone();
    assert_eq!(
        list.replace("absent", entry("info")).unwrap(),
        Change::Unchanged
    );
    list.replace("ours", json!({})).unwrap_err();
    assert_eq!(list, before);
}

#[test]
fn removing_a_field_undoes_setting_it() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.to_text();
    list.set_field("example.org/mark", json!({"a": 1})).unwrap();
    assert_eq!(list.field("example.org/mark"), Some(&json!({"a": 1})));
    assert_eq!(list.remove_field("example.org/mark"), Some(json!({"a": 1})));
    assert_eq!(list.to_text(), before);

    list.set_field("plugins", json!({})).unwrap_err();
    list.set_field("name", json!("")).unwrap_err();
    assert_eq!(list.remove_field("plugins"), None);
    assert_eq!(list.to_text(), before);
}
