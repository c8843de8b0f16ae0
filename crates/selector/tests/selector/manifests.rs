//! Reading manifests: what is found in them, and what is said about bad ones.

use std::error::Error;
use std::fmt::Write;
use std::net::IpAddr;

use mesh_cni_selector::{MAX_MANIFEST_BYTES, ManifestError, PodFacts, RestartPolicy, SidecarKind};
use proptest::prelude::*;

use crate::support::MANIFESTS;

fn manifest(name: &str) -> &'static str {
    MANIFESTS
        .into_iter()
        .find(|(file, _)| *file == name)
        .unwrap()
        .1
}

/// What is said about `text`, causes and all.
#[track_caller]
fn refused(text: &str) -> String {
    let error = PodFacts::from_manifest(text).unwrap_err();
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said.push_str(": ");
        said.push_str(&inner.to_string());
        cause = inner.source();
    }
    assert!(!said.contains('\n'), "{said}");
    said
}

/// A pod with `spec` as given, in JSON.
fn pod(spec: &str) -> String {
    format!(r#"{{"kind":"Pod","metadata":{{"name":"p"}},"spec":{spec}}}"#)
}

#[test]
fn productpage_facts() {
    let facts = PodFacts::from_manifest(manifest("productpage.yaml")).unwrap();
    insta::with_settings!({
        description => "The proxy runs as 1337 for user and group, the application as user 1000; \
                        the three variables with `valueFrom` stand in `env_from`; \
                        the annotation `excludeInboundPorts` is the text `22,15020`.",
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!(facts);
    });
}

#[test]
fn a_native_sidecar_is_found_and_identities_are_told_where_they_stand() {
    let facts = PodFacts::from_manifest(manifest("native-sidecar.yaml")).unwrap();
    let proxy = facts.proxy().unwrap();
    assert_eq!(proxy.kind, SidecarKind::Native);
    assert_eq!(proxy.container.restart_policy, RestartPolicy::Always);
    assert_eq!(
        (proxy.container.run_as_user, proxy.container.run_as_group),
        (Some(1337), Some(1337))
    );
    let app = &facts.containers[0];
    assert_eq!((app.run_as_user, app.run_as_group), (None, None));
    assert_eq!(
        (facts.run_as_user, facts.run_as_group),
        (Some(1000), Some(3000))
    );
}

#[test]
fn the_pods_user_and_group_are_no_containers_own() {
    let text = pod(r#"{"securityContext":{"runAsUser":5,"runAsGroup":6},
            "containers":[{"name":"a","securityContext":{"runAsUser":0}}]}"#);
    let facts = PodFacts::from_manifest(&text).unwrap();
    assert_eq!(facts.containers[0].run_as_user, Some(0));
    assert_eq!(facts.containers[0].run_as_group, None);
    assert_eq!((facts.run_as_user, facts.run_as_group), (Some(5), Some(6)));
}

#[test]
fn addresses_come_from_the_status_and_never_make_a_pod_unreadable() {
    let addresses = |status: &str| {
        let text = format!(
            r#"{{"kind":"Pod","metadata":{{"name":"p"}},"spec":{{"containers":[{{"name":"a"}}]}},"status":{status}}}"#
        );
        PodFacts::from_manifest(&text).unwrap().addresses
    };
    let both = addresses(r#"{"podIP":"10.0.0.7","podIPs":[{"ip":"10.0.0.7"},{"ip":"fd00::7"}]}"#);
    assert_eq!(
        both.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.7", "fd00::7"]
    );
    assert_eq!(
        addresses(r#"{"podIP":"fd00::7"}"#),
        ["fd00::7".parse::<IpAddr>().unwrap()]
    );
    for unknown in [
        "null",
        "{}",
        "7",
        r#"{"podIP":"","podIPs":[]}"#,
        r#"{"podIP":7,"podIPs":[{}, {"ip":"10.0.0"}]}"#,
    ] {
        assert!(addresses(unknown).is_empty(), "{unknown}");
    }
}

#[test]
fn namespace_is_default_where_none_is_named() {
    let facts = PodFacts::from_manifest(manifest("no-sidecar.yaml")).unwrap();
    assert_eq!(facts.namespace, "default");
}

#[test]
fn of_two_variables_of_a_name_the_later_counts() {
    let text = pod(r#"{"containers":[{"name":"a","env":[
            {"name":"X","value":"1"},{"name":"X","valueFrom":{}},
            {"name":"Y","valueFrom":{}},{"name":"Y","value":"2"},{"name":"Z"}]}]}"#);
    let facts = PodFacts::from_manifest(&text).unwrap();
    assert_eq!(facts.containers[0].env_from, ["X"]);
    let env: Vec<_> = facts.containers[0]
        .env
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(env, [("Y", "2"), ("Z", "")]);
}

#[test]
fn blank_documents_and_a_byte_order_mark_do_not_matter() {
    let text = format!("\u{feff}---\n{}\n---\n", manifest("no-sidecar.yaml"));
    assert_eq!(PodFacts::from_manifest(&text).unwrap().name, "legacy-app");
    assert_eq!(
        PodFacts::from_manifest(&format!("\u{feff} {}", manifest("proxyless.json")))
            .unwrap()
            .namespace,
        "default"
    );
}

#[test]
fn a_list_of_the_api_has_items_without_kind() {
    let text = r#"{"kind":"PodList","apiVersion":"v1","items":[
        {"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]}}]}"#;
    assert_eq!(PodFacts::from_manifest(text).unwrap().name, "p");
}

#[test]
fn an_alias_is_read() {
    let text =
        "kind: Pod\nmetadata: {name: &n p, namespace: *n}\nspec: {containers: [{name: *n}]}\n";
    let facts = PodFacts::from_manifest(text).unwrap();
    assert_eq!(
        (facts.namespace.as_str(), facts.containers[0].name.as_str()),
        ("p", "p")
    );
}

#[test]
fn errors() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n";
    let two = format!("{0}\n---\n{0}", manifest("no-sidecar.yaml"));
    let list = |items: &str| format!(r#"{{"kind":"List","items":[{items}]}}"#);
    let one = pod(r#"{"containers":[{"name":"a"}]}"#);
    let cases = [
        String::new(),
        "# nothing\n---\n".into(),
        "{".into(),
        "{\"kind\": \"Pod\",\n \"metadata\": }".into(),
        "kind: Pod\n  metadata: {}\n".into(),
        "kind: Pod\nmetadata:\n\tname: a\n".into(),
        "kind: Pod\nkind: Pod\n".into(),
        "just words".into(),
        "- a\n- b\n".into(),
        "metadata: {name: a}\n".into(),
        deployment.into(),
        "apiVersion: example.com/v1\nkind: Pod\n".into(),
        two,
        format!("{one}{one}{one}"),
        format!("{one} rest"),
        list(""),
        list(&format!("{one},{one}")),
        list(r#"{"kind":"Service"}"#),
        list(r#"{"kind":"Pod","metadata":{}}"#),
        r#"{"kind":"Pod","metadata":{},"spec":{"containers":[]}}"#.into(),
        r#"{"kind":"Pod","metadata":{"name":"p"}}"#.into(),
        r#"{"kind":"Pod","metadata":{"name":""},"spec":{"containers":[{"name":"a"}]}}"#.into(),
        pod("{}"),
        pod(r#"{"containers":[]}"#),
        pod(r#"{"containers":{}}"#),
        pod(r#"{"containers":[{"image":"a"}]}"#),
        pod(r#"{"containers":[{"name":"a"},{"name":"b","args":["x",1]}]}"#),
        pod(r#"{"containers":[{"name":"a","env":[{"name":"X","value":true}]}]}"#),
        pod(r#"{"containers":[{"name":"a","securityContext":{"runAsUser":"1000"}}]}"#),
        pod(r#"{"containers":[{"name":"a","securityContext":{"runAsUser":1.5}}]}"#),
        pod(r#"{"hostNetwork":"true","containers":[{"name":"a"}]}"#),
        "kind: Pod\nmetadata:\n  name: p\n  annotations:\n    a.b/c: 22\nspec: {containers: [{name: a}]}\n".into(),
        "kind: Pod\nmetadata: {name: p, labels: [a]}\nspec: {containers: [{name: a}]}\n".into(),
    ];
    let mut said = String::new();
    for text in cases {
        let shown: String = text.chars().take(90).collect();
        writeln!(said, "{shown:?}\n  {}", refused(&text)).unwrap();
    }
    insta::with_settings!({
        description => "Each line names the field or the place, what is there and what is expected; \
                        another object than one Pod is told how to get one; syntax has its line and column.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(said);
    });
}

#[test]
fn too_large_is_refused_unread() {
    let text = " ".repeat(MAX_MANIFEST_BYTES + 1);
    assert_eq!(
        PodFacts::from_manifest(&text),
        Err(ManifestError::TooLarge {
            bytes: MAX_MANIFEST_BYTES + 1
        })
    );
    assert_eq!(
        PodFacts::from_manifest(&text[1..]),
        Err(ManifestError::Empty)
    );
}

#[test]
fn an_alias_bomb_is_stopped() {
    let mut text = "kind: Pod\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
    }
    insta::assert_snapshot!(refused(&text), @"manifest is not readable as YAML at line 7, column 10: more than 100000 values, those that aliases repeat included");
}

#[test]
fn copies_of_a_long_text_are_stopped() {
    let long = "x".repeat(1024 * 1024);
    let copies = ["*a"; 50].join(", ");
    let text = format!("kind: Pod\na: &a {long}\nb: [{copies}]\n");
    insta::assert_snapshot!(refused(&text), @"manifest is not readable as YAML at line 3, column 13: more than 4194304 bytes of text, those that aliases repeat included");
}

#[test]
fn deep_nesting_is_stopped() {
    let nested =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let lists = nested("[", "]");
    let objects = nested("{\"a\":", "}");
    let said = [
        refused(&format!("kind: Pod\na: {lists}\n")),
        refused(&format!("kind: Pod\na: {objects}\n")),
        refused(&format!("{{\"kind\": \"Pod\", \"a\": {lists}}}")),
        refused(&format!("{{\"kind\": \"Pod\", \"a\": {objects}}}")),
        refused(&format!("kind: Pod\na:\n  {}1\n", "- ".repeat(100_000))),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    manifest is not readable as YAML at line 2, column 259: recursion limit exceeded
    manifest is not readable as YAML at line 2, column 319: more than 64 levels deep
    manifest is not readable as JSON at line 1, column 148: recursion limit exceeded
    manifest is not readable as JSON at line 1, column 652: recursion limit exceeded
    manifest is not readable as YAML at line 3, column 129: more than 64 levels deep
    ");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = PodFacts::from_manifest(&text);
    }

    #[test]
    fn no_damaged_manifest_makes_it_panic(
        (_, text) in prop::sample::select(&MANIFESTS[..]),
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        patch in "[ -~\\n\\t&*{}\\[\\]:-]{0,6}",
    ) {
        let mut signs: Vec<char> = text.chars().collect();
        let start = at.index(signs.len());
        let end = (start + length).min(signs.len());
        signs.splice(start..end, patch.chars());
        let _ = PodFacts::from_manifest(&signs.into_iter().collect::<String>());
    }
}
