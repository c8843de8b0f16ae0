//! Which configurations libcni loads: the results of `cnitool` 1.3.0 for the same lists.

use mesh_cni_spec::{ConfList, plugin_type};

/// A list with these fields and one plugin.
fn list(fields: &str) -> String {
    format!(r#"{{"name":"n",{fields},"plugins":[{{"type":"a"}}]}}"#)
}

/// A list whose plugin has these fields.
fn plugin(fields: &str) -> String {
    format!(r#"{{"name":"n","plugins":[{{"type":"a",{fields}}}]}}"#)
}

#[test]
fn lists_that_libcni_loads_are_valid() {
    for text in [
        list(r#""cniVersion":"""#),
        list(r#""cniVersion":"new""#),
        list(r#""cniVersions":[]"#),
        list(r#""cniVersions":["0.4.0","1.1","9"]"#),
        list(r#""disableCheck":"TRUE","disableGC":false"#),
        list(r#""loadOnlyInlinedPlugins":"False""#),
        list(r#""CNIVersion":1,"disablecheck":5"#),
        plugin(r#""cniVersion":null,"capabilities":{"a":null,"b":true},"ipam":{},"dns":{}"#),
        plugin(r#""mtu":1e308,"x":[[[{}]]]"#),
        r#"{"name":"","plugins":[{"TYPE":"a"}]}"#.to_owned(),
        r#"{"name":"n"}"#.to_owned(),
    ] {
        ConfList::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn lists_that_libcni_refuses_are_invalid() {
    for (text, field) in [
        (list(r#""cniVersion":1.0"#), "cniVersion"),
        (list(r#""cniVersion":null"#), "cniVersion"),
        (list(r#""cniVersions":"1.0.0""#), "cniVersions"),
        (list(r#""cniVersions":[1.1]"#), "cniVersions"),
        (list(r#""cniVersions":["1.x"]"#), "cniVersions"),
        (list(r#""cniVersions":["1.0.0.0"]"#), "cniVersions"),
        (list(r#""cniVersions":[],"cniVersion":"new""#), "cniVersion"),
        (list(r#""disableCheck":1"#), "disableCheck"),
        (list(r#""disableGC":"yes""#), "disableGC"),
        (
            list(r#""loadOnlyInlinedPlugins":0"#),
            "loadOnlyInlinedPlugins",
        ),
        (list(r#""name":5"#), "name"),
        (plugin(r#""cniVersion":1"#), "plugins[0].cniVersion"),
        (plugin(r#""NAME":1"#), "plugins[0].name"),
        (plugin(r#""type":"""#), "plugins[0].type"),
        (
            plugin(r#""capabilities":{"a":"true"}"#),
            "plugins[0].capabilities",
        ),
        (plugin(r#""ipam":"host-local""#), "plugins[0].ipam"),
        (plugin(r#""ipam":{"Type":1}"#), "plugins[0].ipam"),
        (plugin(r#""dns":{"search":"a"}"#), "plugins[0].dns"),
        (plugin(r#""prevResult":[]"#), "plugins[0].prevResult"),
        (plugin(r#""x":[0,{"y":1e309}]"#), "plugins[0].x[1].y"),
        (r#"{"name":"n","plugins":null}"#.to_owned(), "plugins"),
        (r#"{"name":"n","plugins":[null]}"#.to_owned(), "plugins[0]"),
        (
            r#"{"name":"n","loadOnlyInlinedPlugins":true}"#.to_owned(),
            "plugins",
        ),
        (
            r#"{"Name":"n","plugins":[{"type":"a"}]}"#.to_owned(),
            "name",
        ),
        ("null".to_owned(), "document"),
    ] {
        let error = ConfList::parse(&text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("field `{field}` is ")),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_list_is_closed_to_files_as_libcni_reads_it() {
    for (value, closed) in [
        ("true", true),
        (r#""True""#, true),
        (r#""tRUE""#, true),
        ("false", false),
        (r#""FALSE""#, false),
    ] {
        let list = ConfList::parse(list(&format!(r#""loadOnlyInlinedPlugins":{value}"#)));
        assert_eq!(list.unwrap().loads_only_inlined(), closed, "{value}");
    }
    assert!(
        !ConfList::parse(list(r#""a":1"#))
            .unwrap()
            .loads_only_inlined()
    );
}

#[test]
fn the_type_of_a_plugin_is_the_one_that_libcni_calls() {
    for (fields, called) in [
        (r#""Type":"b","type":"a""#, "a"),
        (r#""type":"a","Type":"b""#, "a"),
        (r#""TYPE":"b""#, "b"),
        (r#""type":null,"Type":"b""#, "b"),
        (r#""type":"a","type":"b""#, "b"),
    ] {
        let text = format!(r#"{{"name":"n","plugins":[{{{fields}}}]}}"#);
        let list = ConfList::parse(&text).unwrap();
        assert_eq!(plugin_type(&list.plugins()[0]), Some(called), "{text}");
        assert!(list.contains(called));
    }
}

#[test]
fn single_plugins_are_loaded_as_libcni_does() {
    for (text, loaded) in [
        (&br#"{"name":"n","type":"a"}"#[..], Ok("n")),
        (br#"{"type":"a"}"#, Ok("")),
        (br#"{"Name":"n","type":"a"}"#, Ok("n")),
        (b"{\"name\":\"caf\xe9\",\"type\":\"a\"}", Ok("caf\u{fffd}")),
        (
            br#"{"cniVersion":0.4,"name":"n","type":"a"}"#,
            Err("cniVersion"),
        ),
        (br#"{"name":"n","plugins":[{"type":"a"}]}"#, Err("type")),
        (b"\xef\xbb\xbf{\"name\":\"n\",\"type\":\"a\"}", Err("JSON")),
        (b"", Err("JSON")),
    ] {
        match (ConfList::from_conf(text), loaded) {
            (Ok(list), Ok(name)) => assert_eq!(list.name(), name),
            (Err(error), Err(field)) => assert!(error.to_string().contains(field), "{error}"),
            (result, expected) => panic!("{text:?}: {result:?}, expected {expected:?}"),
        }
    }
}
