//! Editing configuration lists.

use mesh_cni_spec::{Change, ConfList, plugin_type};
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

fn text(list: &ConfList) -> String {
    String::from_utf8(list.text().to_vec()).unwrap()
}

fn types(list: &ConfList) -> Vec<&str> {
    list.plugins().iter().filter_map(plugin_type).collect()
}

#[test]
fn a_chained_plugin_is_added_at_the_end() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    assert_eq!(
        (list.name(), list.cni_version()),
        ("k8s-pod-network", Some("0.3.1"))
    );
    assert_eq!(list.set_chained(&entry("info")).unwrap(), Change::Appended);
    assert!(list.contains("ours"));
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
        description => "an edited list: ours is last; all other keys, their order, and the digits of 1.50 and of the long number are unchanged, as are cniVersion and cniVersions",
    }, {
        insta::assert_snapshot!("conf-list-appended", text(&list));
    });
}

#[test]
fn an_entry_is_added_only_once() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    assert_eq!(list.set_chained(&entry("info")).unwrap(), Change::Appended);
    let once = list.clone();
    assert_eq!(list.set_chained(&entry("info")).unwrap(), Change::Unchanged);
    assert_eq!(list, once);
    assert_eq!(list.set_chained(&entry("debug")).unwrap(), Change::Replaced);
    assert_eq!(types(&list), ["main", "portmap", "ours"]);
    assert_eq!(list.plugins()[2], entry("debug"));
}

#[test]
fn duplicates_are_removed_and_the_first_is_replaced() {
    let text = r#"{"name":"n","plugins":[{"type":"a"},{"type":"ours"},{"type":"b"},{"type":"ours"},{"type":"ours","log_level":"info"}]}"#;
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.set_chained(&entry("info")).unwrap(), Change::Replaced);
    assert_eq!(types(&list), ["a", "ours", "b"]);
    assert_eq!(list.plugins()[1], entry("info"));
    let mut list = ConfList::parse(text).unwrap();
    assert_eq!(list.remove("ours"), Change::Removed);
    assert_eq!(types(&list), ["a", "b"]);
    assert_eq!(list.remove("ours"), Change::Unchanged);
    assert!(!list.remove("absent").is_change());
}

#[test]
fn removing_gives_the_bytes_before() {
    for before in [
        CALICO_LIKE,
        r#"{"name":"n","plugins":[{"type":"a"}]}"#,
        "{\"plugins\" :\r\n[ {\"type\": \"a\"}\r\n ,\t{\"type\":\"b\"}\t] ,\"name\":\"n\"}\r\n\r\n",
        r#"{"name":"n","plugins":[],"plugins":[{"type":"x","type":"a"}],"x":[{"type":"ours"}]}"#,
    ] {
        let mut list = ConfList::parse(before).unwrap();
        list.set_chained(&entry("info")).unwrap();
        assert_eq!(types(&list).last(), Some(&"ours"));
        list.set_chained(&entry("debug")).unwrap();
        list.remove("ours");
        assert_eq!(text(&list), before);
    }
}

#[test]
fn an_entry_is_formatted_like_its_surroundings() {
    let with_entry = |before: &str| {
        let mut list = ConfList::parse(before).unwrap();
        list.set_chained(&entry("info")).unwrap();
        text(&list)
    };
    assert_eq!(
        with_entry(
            "{\r\n\t\"name\": \"n\",\r\n\t\"plugins\": [\r\n\t\t{\"type\": \"a\"}\r\n\t]\r\n}"
        ),
        "{\r\n\t\"name\": \"n\",\r\n\t\"plugins\": [\r\n\t\t{\"type\": \"a\"},\r\n\t\t{\r\n\t\t\t\"type\": \"ours\",\r\n\t\t\t\"log_level\": \"info\"\r\n\t\t}\r\n\t]\r\n}"
    );
    assert_eq!(
        with_entry(r#"{"name":"n","plugins":[{"type":"a"}, {"type":"b"}]}"#),
        r#"{"name":"n","plugins":[{"type":"a"}, {"type":"b"}, {"type": "ours", "log_level": "info"}]}"#
    );
}

#[test]
fn a_replaced_entry_is_restored_byte_for_byte() {
    for before in [
        CALICO_LIKE.to_owned(),
        CALICO_LIKE.replace("\"portmap\",", "\"portmap\" ,\n     "),
        r#"{"name":"n","plugins":[{"type":"portmap","x":1e3,"x":"\u00e9"},{"type":"b"}]}"#
            .to_owned(),
    ] {
        let mut list = ConfList::parse(&before).unwrap();
        let change = list
            .set_aside("portmap", &entry("info"), "example.org/was")
            .unwrap();
        assert_eq!(change, Change::Replaced);
        assert_eq!(list.field("example.org/was").unwrap()["type"], "portmap");
        assert!(!list.contains("portmap"));
        list = ConfList::parse(list.text()).unwrap();
        assert!(list.restore("example.org/was", "ours"));
        assert_eq!(text(&list), before);
        assert!(!list.restore("example.org/was", "ours"));
    }
}

#[test]
fn a_list_without_plugins_gets_no_entry() {
    let mut list = ConfList::parse(r#"{"name":"n"}"#).unwrap();
    let error = list.set_chained(&entry("info")).unwrap_err().to_string();
    assert_eq!(
        error,
        "field `plugins` is missing, expected a list of plugin configurations"
    );
}

#[test]
fn a_single_plugin_becomes_a_list() {
    let conf = r#"{"name":"n","cniVersion":"0.4.0","type":"bridge","mtu":1.0}"#;
    let mut list = ConfList::from_conf(conf).unwrap();
    list.set_chained(&entry("info")).unwrap();
    insta::assert_snapshot!(text(&list), @r#"
    {
      "cniVersion": "0.4.0",
      "name": "n",
      "plugins": [
        {"name":"n","cniVersion":"0.4.0","type":"bridge","mtu":1.0},
        {
          "type": "ours",
          "log_level": "info"
        }
      ]
    }
    "#);
    let lines = "\r\n{\r\n  \"Type\": \"a\",\r\n  \"NAME\": \"caf\u{fffd}\"\r\n}\r\n";
    let list = ConfList::from_conf(lines.replace('\u{fffd}', "\\udce9")).unwrap();
    assert_eq!((list.name(), types(&list)), ("caf\u{fffd}", vec!["a"]));
    assert_eq!(list.cni_version(), None);
}

#[test]
fn errors_contain_the_field() {
    let error = |text: &str| ConfList::parse(text).unwrap_err().to_string();
    assert_eq!(error("{"), "configuration list is not JSON");
    assert_eq!(error("[]"), "field `document` is `[]`, expected an object");
    assert_eq!(error("{}"), "field `name` is missing, expected a string");
    assert_eq!(
        error(r#"{"name":"n","plugins":[]}"#),
        "field `plugins` is `[]`, expected a list of plugin configurations"
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
        .set_chained(&json!({"name": "no type"}))
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
    list.set_chained(&json!({"type": "main", "mtu": 1}))
        .unwrap();
    let change = list.replace("main", &entry("info")).unwrap();
    assert_eq!(
        (change, types(&list)),
        (Change::Replaced, vec!["ours", "portmap"])
    );
    let before = list.clone();
    assert_eq!(
        list.replace("absent", &entry("info")).unwrap(),
        Change::Unchanged
    );
    list.replace("ours", &json!({})).unwrap_err();
    assert_eq!(list, before);
}

#[test]
fn removing_a_field_undoes_setting_it() {
    let mut list = ConfList::parse(CALICO_LIKE).unwrap();
    let before = list.clone();
    list.set_field("example.org/mark", &json!({"a": 1}))
        .unwrap();
    assert_eq!(list.field("example.org/mark"), Some(&json!({"a": 1})));
    list.set_field("example.org/mark", &json!(2)).unwrap();
    assert_eq!(list.remove_field("example.org/mark"), Some(json!(2)));
    assert_eq!(list, before);

    list.set_field("plugins", &json!({})).unwrap_err();
    list.set_field("name", &json!(5)).unwrap_err();
    assert_eq!(list.remove_field("plugins"), None);
    assert_eq!(list, before);
}
