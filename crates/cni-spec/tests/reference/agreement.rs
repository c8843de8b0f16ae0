//! Calls for which the reference plugins and this crate must agree.

use mesh_cni_spec::{CniResult, ResultShape, SpecVersion};
use serde_json::{Value, json};

use crate::process::{SUPPORTED, environment, ours, theirs};

/// A chained reference plugin that does nothing without port mappings.
const CHAINED: &str = "portmap";

/// Checks that both return the same exit code and error code, and returns them.
#[track_caller]
fn agree(environment: &[(&str, &str)], stdin: &[u8]) -> (i32, Option<u64>) {
    let (theirs, ours) = (
        theirs(CHAINED, environment, stdin),
        ours(environment, stdin),
    );
    let call = format!("{environment:?} <<< {}", String::from_utf8_lossy(stdin));
    assert_eq!(
        ours.exit_and_code(),
        theirs.exit_and_code(),
        "{call}\nours {ours:?}\ntheirs {theirs:?}"
    );
    ours.exit_and_code()
}

fn with(
    command: &'static str,
    name: &'static str,
    value: &'static str,
) -> Vec<(&'static str, &'static str)> {
    let mut pairs = environment(command);
    pairs.retain(|(known, _)| *known != name);
    pairs.push((name, value));
    pairs
}

/// A previous result in the shape of a version, with every key that the reference supports.
fn result(version: SpecVersion) -> Value {
    let mut result = match version.shape() {
        ResultShape::PerFamily => json!({
            "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "10.1.0.0/16"}]},
            "ip6": {"ip": "fd00::2/64", "gateway": "fd00::1"},
        }),
        ResultShape::VersionedIps | ResultShape::PlainIps => json!({
            "interfaces": [{"name": "cni0"}, {"name": "eth0", "mac": "0a:58:0a:00:00:02", "sandbox": "/n"}],
            "ips": [{"interface": 1, "address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "::/0"}],
        }),
    };
    if version.shape() == ResultShape::VersionedIps {
        result["ips"][0]["version"] = "4".into();
        result["ips"][1]["version"] = "6".into();
    }
    result["dns"] =
        json!({"nameservers": ["10.96.0.10"], "domain": "a", "search": ["b"], "options": ["c"]});
    result["cniVersion"] = version.as_str().into();
    result
}

fn conf(version: SpecVersion) -> Value {
    json!({"cniVersion": version.as_str(), "name": "net", "type": "portmap", "prevResult": result(version)})
}

#[test]
fn names_and_versions() {
    let (theirs, ours) = (theirs(CHAINED, &[], b""), ours(&[], b""));
    assert_eq!((ours.exit, &ours.stdout), (theirs.exit, &theirs.stdout));
    let versions = |stderr: &str| stderr.lines().last().unwrap_or_default().to_owned();
    assert_eq!(versions(&ours.stderr), versions(&theirs.stderr));
}

#[test]
fn supported_versions() {
    for stdin in ["", "{}", r#"{"cniVersion":"1.0.0"}"#, "nonsense"] {
        let pairs = [("CNI_COMMAND", "VERSION")];
        let (theirs, ours) = (
            theirs(CHAINED, &pairs, stdin.as_bytes()),
            ours(&pairs, stdin.as_bytes()),
        );
        assert_eq!(ours.exit, theirs.exit);
        assert_eq!(ours.document(), theirs.document(), "{stdin:?}");
    }
}

/// Every subset of the variables. Both name the same ones in the same order.
#[test]
fn missing_variables() {
    let variables = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
    for command in ["ADD", "CHECK", "DEL"] {
        for absent in 1..8_usize {
            let mut pairs = environment(command);
            pairs.retain(|(name, _)| {
                variables
                    .iter()
                    .position(|known| known == name)
                    .is_none_or(|at| absent & 1 << at == 0)
            });
            let stdin = conf(SpecVersion::V1_0_0).to_string();
            let result = agree(&pairs, stdin.as_bytes());
            if command == "DEL" && absent == 0b010 {
                assert_eq!(result, (0, None), "DEL does not require a namespace");
                continue;
            }
            assert_eq!(result, (1, Some(4)));
            let named = |msg: String| -> Vec<String> {
                let words = msg.split(|c: char| !c.is_ascii_uppercase() && c != '_');
                words
                    .filter(|word| word.starts_with("CNI_"))
                    .map(str::to_owned)
                    .collect()
            };
            let theirs = theirs(CHAINED, &pairs, stdin.as_bytes());
            assert_eq!(
                named(ours(&pairs, stdin.as_bytes()).msg()),
                named(theirs.msg())
            );
        }
    }
}

#[test]
fn invalid_names() {
    let stdin = conf(SpecVersion::V1_0_0).to_string();
    for id in ["-a", ".a", "_a", "a/b", "a b", "ä", "a:b", "a\nb"] {
        let result = agree(&with("ADD", "CNI_CONTAINERID", id), stdin.as_bytes());
        assert_eq!(result, (1, Some(4)), "{id:?}");
    }
    for ifname in [
        ".",
        "..",
        "a/b",
        "a:b",
        "a b",
        "a\tb",
        "a\u{a0}b",
        "abcdefghijklmnop",
        "ääääääää",
    ] {
        let result = agree(&with("ADD", "CNI_IFNAME", ifname), stdin.as_bytes());
        assert_eq!(result, (1, Some(4)), "{ifname:?}");
    }
    for name in ["_a", "-a", "a b", "a/b", "ä", ""] {
        let mut conf = conf(SpecVersion::V1_0_0);
        conf["name"] = name.into();
        let result = agree(&environment("ADD"), conf.to_string().as_bytes());
        assert_eq!(result, (1, Some(7)), "{name:?}");
    }
}

#[test]
fn valid_names() {
    let stdin = conf(SpecVersion::V1_0_0).to_string();
    for id in ["a", "0", "A.b_c-d", "0-"] {
        let result = agree(&with("ADD", "CNI_CONTAINERID", id), stdin.as_bytes());
        assert_eq!(result, (0, None), "{id:?}");
    }
    for ifname in ["e", "...", "-", "abcdefghijklmno", "äääääää"] {
        let result = agree(&with("ADD", "CNI_IFNAME", ifname), stdin.as_bytes());
        assert_eq!(result, (0, None), "{ifname:?}");
    }
}

#[test]
fn configurations_that_are_not_json_objects() {
    for stdin in [
        "",
        " ",
        "nope",
        "{",
        "{\"name\":\"a\",}",
        "[1]",
        "5",
        "\"a\"",
        "{} {}",
        "{}x",
        "\u{feff}{}",
    ] {
        for command in ["ADD", "DEL"] {
            let result = agree(&environment(command), stdin.as_bytes());
            assert_eq!(result, (1, Some(6)), "{stdin:?}");
        }
    }
}

/// The name is checked before the version.
#[test]
fn configurations_without_a_name() {
    for stdin in [
        "{}",
        r#"{"cniVersion":"1.0.0"}"#,
        r#"{"cniVersion":"9.9.9"}"#,
    ] {
        assert_eq!(
            agree(&environment("ADD"), stdin.as_bytes()),
            (1, Some(7)),
            "{stdin}"
        );
    }
}

#[test]
fn unsupported_versions() {
    for version in [
        "9.9.9",
        "1.0",
        "v1.0.0",
        "1.1.0",
        "0.3",
        " 1.0.0",
        "1.0.0-rc1",
    ] {
        let mut conf = conf(SpecVersion::V1_0_0);
        conf["cniVersion"] = version.into();
        let stdin = conf.to_string();
        for command in ["ADD", "DEL"] {
            let result = agree(&environment(command), stdin.as_bytes());
            assert_eq!(result, (1, Some(1)), "{version}");
            let ours = ours(&environment(command), stdin.as_bytes()).document();
            let theirs = theirs(CHAINED, &environment(command), stdin.as_bytes()).document();
            assert_eq!(ours["msg"], theirs["msg"]);
            for details in [&ours["details"], &theirs["details"]] {
                let details = details.as_str().unwrap();
                assert!(
                    details.contains(version) && details.contains("0.4.0"),
                    "{details}"
                );
            }
        }
    }
}

#[test]
fn every_version_and_command() {
    for version in SUPPORTED {
        let stdin = conf(*version).to_string();
        assert_eq!(
            agree(&environment("ADD"), stdin.as_bytes()),
            (0, None),
            "{version}"
        );
        assert_eq!(
            agree(&environment("DEL"), stdin.as_bytes()),
            (0, None),
            "{version}"
        );
        let check = agree(&environment("CHECK"), stdin.as_bytes());
        let expected = if *version < SpecVersion::V0_4_0 {
            (1, Some(1))
        } else {
            (0, None)
        };
        assert_eq!(check, expected, "{version}");
        for unknown in ["NOPE", "add"] {
            assert_eq!(agree(&environment(unknown), stdin.as_bytes()), (1, Some(4)));
        }
    }
}

/// Numeric versions; see `differences` for others.
#[test]
fn unsupported_versions_on_check() {
    for version in ["9.9.9", "1.0", "1.1.0", "0.3", "0.3.2", "0.4.1"] {
        let mut conf = conf(SpecVersion::V1_0_0);
        conf["cniVersion"] = version.into();
        let result = agree(&environment("CHECK"), conf.to_string().as_bytes());
        assert_eq!(result, (1, Some(1)), "{version}");
    }
}

/// Both pass a previous result through in every version.
#[test]
fn previous_results_pass_through() {
    for from in SUPPORTED {
        for to in SUPPORTED.iter().filter(|to| to.shape() == from.shape()) {
            let mut conf = conf(*to);
            conf["prevResult"] = result(*from);
            let stdin = conf.to_string();
            let ours = ours(&environment("ADD"), stdin.as_bytes()).document();
            let theirs = theirs(CHAINED, &environment("ADD"), stdin.as_bytes()).document();
            assert_eq!(ours, theirs, "{from} -> {to}");
            assert_eq!(ours["cniVersion"], to.as_str());
        }
    }
}

/// Results of the reference are read, and written to the same JSON.
#[test]
fn results_survive_decoding_and_encoding() {
    for version in SUPPORTED {
        let stdin = json!({
            "cniVersion": version.as_str(), "name": "net", "type": "static",
            "ipam": {
                "type": "static",
                "addresses": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64"}],
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "::/0"}, {"dst": "10.9.0.0/16"}],
                "dns": {"nameservers": ["10.96.0.10"], "search": ["b"]},
            },
        });
        let theirs = theirs("static", &environment("ADD"), stdin.to_string().as_bytes()).document();
        let read = CniResult::from_value(&theirs).unwrap();
        assert_eq!((read.ips.len(), read.routes.len()), (2, 3), "{version}");
        assert!(read.extra.is_empty(), "unknown keys: {:?}", read.extra);
        assert_eq!(read.to_value(*version), theirs, "{version}");
    }
}

/// Results of `host-local` in every version.
#[test]
fn results_of_host_local_are_read() {
    let folder = std::env::temp_dir().join(format!("mesh-cni-spec-{}", std::process::id()));
    for version in SUPPORTED {
        let stdin = json!({
            "cniVersion": version.as_str(), "name": "net", "type": "host-local",
            "ipam": {
                "type": "host-local", "dataDir": folder,
                "ranges": [[{"subnet": "10.7.0.0/24"}], [{"subnet": "fd07::/64"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        });
        let stdin = stdin.to_string();
        let added = theirs("host-local", &environment("ADD"), stdin.as_bytes());
        let freed = theirs("host-local", &environment("DEL"), stdin.as_bytes());
        assert_eq!(
            (added.exit, freed.exit_and_code()),
            (0, (0, None)),
            "{added:?}"
        );
        let mut theirs = added.document();
        let read = CniResult::from_value(&theirs).unwrap();
        assert_eq!(read.ips.len(), 2, "{theirs}");
        theirs
            .as_object_mut()
            .unwrap()
            .retain(|key, value| key != "dns" || *value != json!({}));
        assert_eq!(read.to_value(*version), theirs, "{version}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
