//! Reading manifests: facts and errors.

use std::error::Error;
use std::fmt::Write;
use std::net::IpAddr;

use mesh_cni_selector::{
    MAX_MANIFEST_BYTES, ManifestError, Mesh, PodFacts, RestartPolicy, SidecarKind,
};
use proptest::prelude::*;

use crate::support::MANIFESTS;

fn manifest(name: &str) -> &'static str {
    MANIFESTS
        .into_iter()
        .find(|(file, _)| *file == name)
        .unwrap()
        .1
}

/// The error for `text` and its causes, on one line.
#[track_caller]
fn error(text: &str) -> String {
    let error = PodFacts::from_manifest(text).unwrap_err();
    let message = std::iter::successors(Some(&error as &dyn Error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    assert!(!message.contains('\n'), "{message}");
    message
}

/// A pod with `spec` as given, in JSON.
fn pod(spec: &str) -> String {
    format!(r#"{{"kind":"Pod","metadata":{{"name":"p"}},"spec":{spec}}}"#)
}

#[test]
fn productpage_facts() {
    let facts = PodFacts::from_manifest(manifest("productpage.yaml")).unwrap();
    insta::with_settings!({
        description => "The proxy has user and group 1337, the application has user 1000; \
                        `env_from` contains the three variables with `valueFrom`; \
                        the annotation `excludeInboundPorts` is the text `22,15020`.",
        omit_expression => true,
    }, {
        insta::assert_json_snapshot!(facts);
    });
}

#[test]
fn a_native_sidecar_with_users_of_pod_and_container() {
    let facts = PodFacts::from_manifest(manifest("native-sidecar.yaml")).unwrap();
    let proxy = facts.proxy(Mesh::Istio).unwrap();
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
fn the_pods_user_and_group_are_not_copied_to_containers() {
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
fn a_manifest_without_namespace_is_in_default() {
    let facts = PodFacts::from_manifest(manifest("no-sidecar.yaml")).unwrap();
    assert_eq!(facts.namespace, "default");
}

#[test]
fn a_later_variable_replaces_one_of_the_same_name() {
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
fn empty_documents_and_a_byte_order_mark_are_ignored() {
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
fn items_of_a_list_need_no_kind() {
    let text = r#"{"kind":"PodList","apiVersion":"v1","items":[
        {"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]}}]}"#;
    assert_eq!(PodFacts::from_manifest(text).unwrap().name, "p");
}

#[test]
fn aliases_are_resolved() {
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
    let mut lines = String::new();
    for text in cases {
        let shown: String = text.chars().take(90).collect();
        writeln!(lines, "{shown:?}\n  {}", error(&text)).unwrap();
    }
    insta::with_settings!({
        description => "Each error contains the field or position, what was found and what was expected. \
                        Other objects than a Pod get the command that prints one.",
        omit_expression => true,
    }, {
        insta::assert_snapshot!(lines);
    });
}

#[test]
fn several_documents_and_lists_are_read_together() {
    let one = |name: &str| {
        format!("kind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: a}}]}}\n")
    };
    let list = "kind: List\nitems:\n- {kind: Service}\n- 7\n- kind: Pod\n  metadata: {name: c, namespace: shop}\n";
    let text = [&one("a"), list, "kind: Deployment\n", &one("b")].map(|text| (*text).to_owned());
    let pods = PodFacts::from_manifests(&text.join("---\n")).unwrap();
    let lines = pods.iter().map(|pod| match pod {
        Ok(facts) => format!("{}/{}", facts.namespace, facts.name),
        Err(invalid) => format!("{invalid}: {}", invalid.error),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    let none = PodFacts::from_manifests("kind: Service\n---\nkind: Deployment\n");
    assert_eq!(none, Err(ManifestError::PodCount { count: 0 }));
}

#[test]
fn a_list_may_be_longer_than_one_manifest() {
    let item =
        pod(r#"{"containers":[{"name":"a","image":"0123456789012345678901234567890123456789"}]}"#);
    let items = vec![item; 2 * MAX_MANIFEST_BYTES / 100];
    let text = format!(r#"{{"kind":"List","items":[{}]}}"#, items.join(","));
    assert!(text.len() > MAX_MANIFEST_BYTES);
    assert_eq!(PodFacts::from_manifests(&text).unwrap().len(), items.len());
}

#[test]
fn too_large_manifests_are_not_parsed() {
    let text = " ".repeat(MAX_MANIFEST_BYTES + 1);
    assert_eq!(
        PodFacts::from_manifest(&text),
        Err(ManifestError::TooLarge {
            bytes: MAX_MANIFEST_BYTES + 1,
            limit: MAX_MANIFEST_BYTES
        })
    );
    assert_eq!(
        PodFacts::from_manifest(&text[1..]),
        Err(ManifestError::Empty)
    );
}

#[test]
fn an_alias_bomb_is_an_error() {
    let mut text = "kind: Pod\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
    }
    insta::assert_snapshot!(error(&text), @"manifest is not readable as YAML at line 7, column 10: more than 100000 values, including those repeated by aliases");
}

#[test]
fn many_copies_of_a_long_text_are_an_error() {
    let long = "x".repeat(1024 * 1024);
    let copies = ["*a"; 50].join(", ");
    let text = format!("kind: Pod\na: &a {long}\nb: [{copies}]\n");
    insta::assert_snapshot!(error(&text), @"manifest is not readable as YAML at line 3, column 13: more than 4194304 bytes of text, including those repeated by aliases");
}

#[test]
fn deep_nesting_is_an_error() {
    let nested =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let lists = nested("[", "]");
    let objects = nested("{\"a\":", "}");
    let errors = [
        error(&format!("kind: Pod\na: {lists}\n")),
        error(&format!("kind: Pod\na: {objects}\n")),
        error(&format!("{{\"kind\": \"Pod\", \"a\": {lists}}}")),
        error(&format!("{{\"kind\": \"Pod\", \"a\": {objects}}}")),
        error(&format!("kind: Pod\na:\n  {}1\n", "- ".repeat(100_000))),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    manifest is not readable as YAML at line 2, column 259: recursion limit exceeded
    manifest is not readable as YAML at line 2, column 319: more than 64 levels of nesting
    manifest is not readable as JSON at line 1, column 148: recursion limit exceeded
    manifest is not readable as JSON at line 1, column 652: recursion limit exceeded
    manifest is not readable as YAML at line 3, column 129: more than 64 levels of nesting
    ");
}

proptest! {
    #[test]
    fn reading_text_never_panics(text in "\\PC*") {
        let _ = PodFacts::from_manifest(&text);
    }

    #[test]
    fn reading_damaged_manifests_never_panics(
        (_, text) in prop::sample::select(&MANIFESTS[..]),
        at in any::<prop::sample::Index>(),
        length in 0_usize..12,
        patch in "[ -~\\n\\t&*{}\\[\\]:-]{0,6}",
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        characters.splice(start..end, patch.chars());
        let _ = PodFacts::from_manifest(&characters.into_iter().collect::<String>());
    }
}
