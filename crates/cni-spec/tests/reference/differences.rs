//! Where we answer otherwise than the reference, on purpose: each difference has a name, a reason,
//! and both sides asserted, so that none of them vanishes or appears unseen.

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

/// The specification lists `cniVersion` in the error object; the reference leaves it out.
#[test]
fn error_objects_carry_the_version() {
    let stdin = br#"{"cniVersion":"0.4.0"}"#;
    let (ours, theirs) = (
        ours(&environment("ADD"), stdin),
        theirs("portmap", &environment("ADD"), stdin),
    );
    assert_eq!(ours.document()["cniVersion"], "0.4.0");
    assert_eq!(theirs.document().get("cniVersion"), None);
}

/// The specification makes it optional; only plugins that call others need it.
#[test]
fn cni_path_is_not_required() {
    for command in ["ADD", "CHECK", "DEL"] {
        let stdin = conf("1.0.0", r#"{"cniVersion":"1.0.0"}"#);
        let pairs = without(command, "CNI_PATH");
        assert_eq!(ours(&pairs, &stdin).verdict(), (0, None));
        let theirs = theirs("portmap", &pairs, &stdin);
        assert_eq!(theirs.verdict(), (1, Some(4)));
        assert!(theirs.msg().contains("CNI_PATH"));
    }
}

/// The specification asks for the input's version; the reference always says its newest.
#[test]
fn version_echoes_its_input() {
    let (pairs, stdin) = ([("CNI_COMMAND", "VERSION")], br#"{"cniVersion":"0.4.0"}"#);
    assert_eq!(ours(&pairs, stdin).document()["cniVersion"], "0.4.0");
    assert_eq!(
        theirs("portmap", &pairs, stdin).document()["cniVersion"],
        "1.0.0"
    );
}

/// A version is compared as text, whatever the command; on CHECK the reference first takes it for
/// three numbers.
#[test]
fn check_compares_versions_as_text() {
    for version in ["v1.0.0", " 1.0.0", "1.0.0-rc1"] {
        let stdin = conf(version, "{}");
        let (ours, theirs) = (
            ours(&environment("CHECK"), &stdin),
            theirs("portmap", &environment("CHECK"), &stdin),
        );
        assert_eq!(
            (ours.verdict(), theirs.verdict()),
            ((1, Some(1)), (1, Some(6))),
            "{version}"
        );
    }
}

/// The environment is wrong, so that is said, even if the configuration is wrong too.
#[test]
fn an_unknown_command_is_found_before_the_configuration_is_read() {
    assert_eq!(ours(&environment("NOPE"), b"{}").verdict(), (1, Some(4)));
    assert_eq!(
        theirs("portmap", &environment("NOPE"), b"{}").verdict(),
        (1, Some(7))
    );
}

/// JSON it is, so it can be decoded; the field is what is wrong, and it is named.
#[test]
fn a_field_of_the_wrong_type_is_an_invalid_configuration() {
    for stdin in [&br#"{"name":5}"#[..], br#"{"name":"a","cniVersion":5}"#] {
        let (ours, theirs) = (
            ours(&environment("ADD"), stdin),
            theirs("portmap", &environment("ADD"), stdin),
        );
        assert_eq!(
            (ours.verdict(), theirs.verdict()),
            ((1, Some(7)), (1, Some(6)))
        );
        assert!(ours.msg().contains("is `5`"), "{}", ours.msg());
    }
}

/// `null` is no object, so it cannot be a configuration; for the reference it is an empty one.
#[test]
fn null_is_no_configuration() {
    assert_eq!(ours(&environment("ADD"), b"null").verdict(), (1, Some(6)));
    assert_eq!(
        theirs("portmap", &environment("ADD"), b"null").verdict(),
        (1, Some(7))
    );
}

/// Text that is not UTF-8 is no JSON; the reference replaces what it cannot read.
#[test]
fn text_that_is_not_utf8_is_not_repaired() {
    let stdin =
        b"{\"name\":\"a\",\"x\":\"\xff\",\"prevResult\":{\"ip4\":{\"ip\":\"10.0.0.2/24\"}}}";
    assert_eq!(ours(&environment("ADD"), stdin).verdict(), (1, Some(6)));
    assert_eq!(
        theirs("portmap", &environment("ADD"), stdin).verdict(),
        (0, None)
    );
}

/// An earlier plugin that answers in another version's shape is no reason to fail a container.
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
    assert_eq!(theirs.verdict(), (1, Some(999)));
}

/// What is not ours goes on as it came: unknown keys, empty lists, spellings.
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

/// The reference adds an empty `dns` to every result since 0.3.0; nothing is said by it.
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

/// The reference has no code for it; the specification's "invalid network config" fits.
#[test]
fn a_missing_previous_result_is_an_invalid_configuration() {
    let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"portmap"}"#;
    for command in ["ADD", "CHECK"] {
        let theirs = theirs("portmap", &environment(command), stdin);
        assert_eq!(theirs.verdict(), (1, Some(999)), "{theirs:?}");
        assert_eq!(ours(&environment(command), stdin).verdict(), (1, Some(7)));
    }
}

/// A trailing `;` and unknown keys are in what runtimes send.
#[test]
fn arguments_are_read_leniently() {
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

/// 0.2.0 has room for one address a family: the first goes out and the rest is named by
/// `losses`, where the reference refuses; so with no address at all.
#[test]
fn too_many_addresses_for_0_2_0_are_no_error() {
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
        assert_eq!(refused.verdict(), (1, Some(999)));
        let result = CniResult::from_value(&newest).unwrap();
        assert_eq!(result.to_value(SpecVersion::V0_2_0), kept);
        let is_lossy = addresses
            .as_array()
            .is_some_and(|addresses| !addresses.is_empty());
        assert_eq!(!result.losses(SpecVersion::V0_2_0).is_empty(), is_lossy);
    }
}

/// The reference of Debian predates 1.1.0: GC and STATUS are unknown to it. For us they are known
/// and the configuration's version is too old.
#[test]
fn gc_and_status_are_known() {
    let stdin = conf("1.0.0", r#"{"cniVersion":"1.0.0"}"#);
    for command in ["GC", "STATUS"] {
        assert_eq!(ours(&environment(command), &stdin).verdict(), (1, Some(1)));
        assert_eq!(
            theirs("portmap", &environment(command), &stdin).verdict(),
            (1, Some(4))
        );
    }
}

/// DEL goes on without a field that is wrong, where the reference fails and so leaks the rest of
/// the chain's work.
#[test]
fn del_tolerates_odd_fields() {
    let stdin = br#"{"cniVersion":"1.0.0","name":"net","type":"portmap","prevResult":5,"dns":[]}"#;
    let (ours, theirs) = (
        ours(&environment("DEL"), stdin),
        theirs("portmap", &environment("DEL"), stdin),
    );
    assert_eq!(ours.verdict(), (0, None));
    assert_eq!(theirs.verdict().0, 1, "{theirs:?}");
    let _: Value = theirs.document();
}
