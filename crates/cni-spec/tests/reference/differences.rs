//! Deliberate differences from the reference plugins. Each test gives the reason and asserts both
//! results.

use mesh_cni_spec::{CniArgs, CniResult, SpecVersion};
use serde_json::{Value, json};

use crate::process::{environment, ours, theirs};

fn without(command: &'static str, name: &str) -> Vec<(&'static str, &'static str)> {
    let mut pairs = environment(command);
    pairs.retain(|(known, _)| *known != name);
    pairs
}

fn conf(version: &str, prev: &str) -> Vec<u8> {
    format!(r#"{{"cniVersion":"{version}","name":"net","type":"portmap","prevResult":{prev}}}"#)
        .into_bytes()
}

/// The specification requires `cniVersion` in the error object; the reference omits it.
#[test]
fn error_objects_contain_the_version() {
    let stdin = br#"{"cniVersion":"0.4.0"}"#;
    let (ours, theirs) = (
        ours(&environment("ADD"), stdin),
        theirs("portmap", &environment("ADD"), stdin),
    );
    assert_eq!(ours.document()["cniVersion"], "0.4.0");
    assert_eq!(theirs.document().get("cniVersion"), None);
}

/// It is optional in the specification; only plugins that call others need it.
#[test]
fn cni_path_is_not_required() {
    for command in ["ADD", "CHECK", "DEL"] {
        let stdin = conf("1.0.0", r#"{"cniVersion":"1.0.0"}"#);
        let pairs = without(command, "CNI_PATH");
        assert_eq!(ours(&pairs, &stdin).exit_and_code(), (0, None));
        let theirs = theirs("portmap", &pairs, &stdin);
        assert_eq!(theirs.exit_and_code(), (1, Some(4)));
        assert!(theirs.msg().contains("CNI_PATH"));
    }
}

/// The specification requires the version of the request; the reference always returns its newest.
#[test]
fn version_echoes_its_input() {
    let (pairs, stdin) = ([("CNI_COMMAND", "VERSION")], br#"{"cniVersion":"0.4.0"}"#);
    assert_eq!(ours(&pairs, stdin).document()["cniVersion"], "0.4.0");
    assert_eq!(
        theirs("portmap", &pairs, stdin).document()["cniVersion"],
        "1.0.0"
    );
}

/// This crate compares versions as text for every command; on CHECK the reference parses them as
/// three numbers first.
#[test]
fn check_compares_versions_as_text() {
    for version in ["v1.0.0", " 1.0.0", "1.0.0-rc1"] {
        let stdin = conf(version, "{}");
        let (ours, theirs) = (
            ours(&environment("CHECK"), &stdin),
            theirs("portmap", &environment("CHECK"), &stdin),
        );
        assert_eq!(
            (ours.exit_and_code(), theirs.exit_and_code()),
            ((1, Some(1)), (1, Some(6))),
            "{version}"
        );
    }
}

/// An invalid environment is reported before an invalid configuration.
#[test]
fn the_command_is_checked_before_the_configuration() {
    assert_eq!(
        ours(&environment("NOPE"), b"{}").exit_and_code(),
        (1, Some(4))
    );
    assert_eq!(
        theirs("portmap", &environment("NOPE"), b"{}").exit_and_code(),
        (1, Some(7))
    );
}

/// The input is valid JSON with an invalid field, so the error is that of a configuration.
#[test]
fn a_field_of_the_wrong_type_is_an_invalid_configuration() {
    for stdin in [&br#"{"name":5}"#[..], br#"{"name":"a","cniVersion":5}"#] {
        let (ours, theirs) = (
            ours(&environment("ADD"), stdin),
            theirs("portmap", &environment("ADD"), stdin),
        );
        assert_eq!(
            (ours.exit_and_code(), theirs.exit_and_code()),
            ((1, Some(7)), (1, Some(6)))
        );
        assert!(ours.msg().contains("is `5`"), "{}", ours.msg());
    }
}

/// `null` is not an object; the reference reads it as an empty one.
#[test]
fn null_is_not_a_configuration() {
    assert_eq!(
        ours(&environment("ADD"), b"null").exit_and_code(),
        (1, Some(6))
    );
    assert_eq!(
        theirs("portmap", &environment("ADD"), b"null").exit_and_code(),
        (1, Some(7))
    );
}

/// Input that is not UTF-8 is not JSON; the reference replaces the invalid bytes.
#[test]
fn invalid_utf_8_is_an_error() {
    let stdin =
        b"{\"name\":\"a\",\"x\":\"\xff\",\"prevResult\":{\"ip4\":{\"ip\":\"10.0.0.2/24\"}}}";
    assert_eq!(
        ours(&environment("ADD"), stdin).exit_and_code(),
        (1, Some(6))
    );
    assert_eq!(
        theirs("portmap", &environment("ADD"), stdin).exit_and_code(),
        (0, None)
    );
}

/// A result in another version's shape must not prevent a container from starting.
#[test]
fn previous_results_of_another_shape_are_converted() {
    let prev = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}]}"#;
    let stdin = conf("0.4.0", prev);
    let (ours, theirs) = (
        ours(&environment("ADD"), &stdin),
        theirs("portmap", &environment("ADD"), &stdin),
    );
    let expected =
        json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.0.0.2/24"}]});
    assert_eq!(ours.document(), expected);
    assert_eq!(theirs.exit_and_code(), (1, Some(999)));
}

/// Unknown keys, empty lists and the digits of numbers are passed through.
#[test]
fn previous_results_keep_unknown_keys_and_empty_lists() {
    let prev = r#"{"cniVersion":"1.0.0","ips":[],"vendor":{"z":1.50},"routes":[{"dst":"::/0","metric":7}]}"#;
    let stdin = conf("1.0.0", prev);
    let (ours, theirs) = (
        ours(&environment("ADD"), &stdin),
        theirs("portmap", &environment("ADD"), &stdin),
    );
    assert_eq!(ours.stdout.trim_end(), prev);
    let expected = json!({"cniVersion": "1.0.0", "routes": [{"dst": "::/0"}], "dns": {}});
    assert_eq!(theirs.document(), expected);
}

/// The reference adds an empty `dns` to every result since 0.3.0, which has no meaning.
#[test]
fn an_empty_dns_is_not_written() {
    let prev = r#"{"cniVersion":"0.4.0"}"#;
    let stdin = conf("0.4.0", prev);
    assert_eq!(
        ours(&environment("ADD"), &stdin).document(),
        json!({"cniVersion": "0.4.0"})
    );
    let theirs = theirs("portmap", &environment("ADD"), &stdin).document();
    assert_eq!(theirs, json!({"cniVersion": "0.4.0", "dns": {}}));
    assert_eq!(
        CniResult::default().to_value(SpecVersion::V0_4_0),
        json!({"cniVersion": "0.4.0"})
    );
}

/// The reference uses no specific code; "invalid network config" of the specification applies.
#[test]
fn a_missing_previous_result_is_an_invalid_configuration() {
    let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"portmap"}"#;
    for command in ["ADD", "CHECK"] {
        let theirs = theirs("portmap", &environment(command), stdin);
        assert_eq!(theirs.exit_and_code(), (1, Some(999)), "{theirs:?}");
        assert_eq!(
            ours(&environment(command), stdin).exit_and_code(),
            (1, Some(7))
        );
    }
}

/// Runtimes send a trailing `;` and unknown keys.
#[test]
fn arguments_are_parsed_leniently() {
    let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"static","ipam":{"type":"static"}}"#;
    for (args, expected) in [
        ("IP=10.1.0.9/24;IgnoreUnknown=1;K8S_POD_UID=u", 0),
        ("IP=10.1.0.9/24;", 1),
        ("IP=10.1.0.9/24;K8S_POD_UID=u", 1),
    ] {
        let mut pairs = environment("ADD");
        pairs.push(("CNI_ARGS", args));
        assert_eq!(theirs("static", &pairs, stdin).exit, expected, "{args}");
        assert_eq!(CniArgs::parse(args).get("IP"), Some("10.1.0.9/24"));
    }
}

/// 0.2.0 supports one address per family. This crate writes the first, and `losses` lists the
/// others; the reference fails, as it does without any address.
#[test]
fn too_many_addresses_for_0_2_0_are_not_an_error() {
    for (addresses, kept) in [
        (
            json!([{"address": "10.0.0.2/24"}, {"address": "10.0.0.3/24"}]),
            json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}}),
        ),
        (json!([]), json!({"cniVersion": "0.2.0"})),
    ] {
        let mut stdin = json!({"cniVersion": "1.0.0", "name": "net", "type": "static", "ipam": {"type": "static", "addresses": addresses}});
        let newest = theirs("static", &environment("ADD"), stdin.to_string().as_bytes()).document();
        stdin["cniVersion"] = "0.2.0".into();
        let refused = theirs("static", &environment("ADD"), stdin.to_string().as_bytes());
        assert_eq!(refused.exit_and_code(), (1, Some(999)));
        let result = CniResult::from_value(&newest).unwrap();
        assert_eq!(result.to_value(SpecVersion::V0_2_0), kept);
        let is_lossy = addresses
            .as_array()
            .is_some_and(|addresses| !addresses.is_empty());
        assert_eq!(!result.losses(SpecVersion::V0_2_0).is_empty(), is_lossy);
    }
}

/// Debian's reference does not support 1.1.0, so GC and STATUS are unknown commands. Here the
/// configuration's version is too old for them.
#[test]
fn gc_and_status_are_known() {
    let stdin = conf("1.0.0", r#"{"cniVersion":"1.0.0"}"#);
    for command in ["GC", "STATUS"] {
        assert_eq!(
            ours(&environment(command), &stdin).exit_and_code(),
            (1, Some(1))
        );
        assert_eq!(
            theirs("portmap", &environment(command), &stdin).exit_and_code(),
            (1, Some(4))
        );
    }
}

/// DEL ignores invalid fields. The reference fails, so the runtime does not call the plugins before
/// it in the chain, and their resources leak.
#[test]
fn del_ignores_invalid_fields() {
    let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"portmap","prevResult":5,"dns":[]}"#;
    let (ours, theirs) = (
        ours(&environment("DEL"), stdin),
        theirs("portmap", &environment("DEL"), stdin),
    );
    assert_eq!(ours.exit_and_code(), (0, None));
    assert_eq!(theirs.exit_and_code().0, 1, "{theirs:?}");
    let _: Value = theirs.document();
}
