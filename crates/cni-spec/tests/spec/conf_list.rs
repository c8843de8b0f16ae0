//! Editing somebody else's configuration list.

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
fn a_chained_plugin_goes_to_the_end_and_all_else_stays() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    assert_eq!(
        (list.name(), list.cni_version()),
        ("k8s-pod-network", Some("0.3.1"))
    );
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Appended);
    assert!(list.contains("ours"));
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
        description => "an edited list: ours last, every other key, its order and the spelling of 1.50 and of the long number as before, cniVersion and cniVersions untouched",
    }, {
        insta::assert_snapshot!("conf-list-appended", list.to_text());
    });
}

#[test]
fn there_is_never_more_than_one_entry() {
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
fn duplicates_go_and_the_first_keeps_its_place() {
    let text = r#"{"name":"n","plugins":[{"type":"a"},{"type":"ours"},{"type":"b"},{"type":"ours"},{"type":"ours","log_level":"info"}]}"#;
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.set_chained(entry("info")).unwrap(), Change::Replaced);
    assert_eq!(types(&list), ["a", "ours", "b"]);
    assert_eq!(list.plugins()[1], entry("info"));
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.remove("ours"), Change::Removed);
    assert_eq!(types(&list), ["a", "b"]);
    assert_eq!(list.remove("ours"), Change::Unchanged);
    assert!(!list.remove("nobody").is_change());
}

#[test]
fn what_is_set_and_removed_leaves_the_document_as_it_was() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.to_text();
    list.set_chained(entry("info")).unwrap();
    list.remove("ours");
    assert_eq!(list.to_text(), before);
    assert_eq!(
        ConfList::parse(&before).unwrap().to_text(),
        before,
        "laid out once, it stays"
    );
    let same: Value = serde_json::from_str(CALICO_LIKE).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&before).unwrap(), same);
}

#[test]
fn the_indentation_stays() {
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
fn refusals_name_the_field() {
    let error = |text: &str| ConfList::parse(text).unwrap_err().to_string();
    assert_eq!(error("{"), "configuration list is not JSON");
    assert_eq!(
        error("[]"),
        "field `document` is `[]`, but must be an object"
    );
    assert_eq!(
        error("{}"),
        "field `name` is missing, but must be a string that is not empty"
    );
    assert_eq!(
        error(r#"{"name":"n"}"#),
        "field `plugins` is missing, but must be a list of plugin configurations"
    );
    assert_eq!(
        error(r#"{"name":"n","plugins":[{"type":"a"},{}]}"#),
        "field `plugins[1].type` is missing, but must be a string that is not empty"
    );
    assert_eq!(
        error(r#"{"name":"n","plugins":[5]}"#),
        "field `plugins[0]` is `5`, but must be an object"
    );
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.clone();
    let refused = list
        .set_chained(json!({"name": "no type"}))
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "field `entry.type` is missing, but must be a string that is not empty"
    );
    assert_eq!(list, before, "nothing half done");
    assert!(
        ConfList::from_conf(r#"{"name":"n","plugins":[]}"#).is_err(),
        "a list is no single plugin"
    );
}

#[test]
fn one_plugin_takes_the_place_of_another() {
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
fn fields_of_the_list_come_and_go_without_a_trace() {
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
