//! Whole calls of a plugin.

use std::io::{self, Read, Write};

use mesh_cni_spec::{Command, Environment, STDIN_LIMIT, SpecVersion, run};
use serde_json::json;

use crate::support::{Recorder, call, configuration, environment};

fn conf(version: SpecVersion) -> Vec<u8> {
    configuration(version).to_string().into_bytes()
}

#[test]
fn all_commands_but_version_call_the_plugin() {
    for (command, called, has_output) in [
        ("ADD", "add c1 /var/run/netns/c1 eth0", true),
        ("CHECK", "check c1", false),
        ("DEL", "del c1 Some(\"/var/run/netns/c1\")", false),
        ("GC", "gc None", false),
        ("STATUS", "status", false),
    ] {
        let plugin = Recorder::default();
        let output = call(&plugin, &environment(command), &conf(SpecVersion::V1_1_0));
        assert_eq!((output.exit, output.stderr.as_str()), (0, ""), "{command}");
        assert_eq!(*plugin.calls.borrow(), [called]);
        assert_eq!(
            output.stdout.is_empty(),
            !has_output,
            "{command}: {}",
            output.stdout
        );
    }
    let plugin = Recorder::default();
    assert_eq!(call(&plugin, &environment("VERSION"), b"").exit, 0);
    assert!(
        plugin.calls.borrow().is_empty(),
        "VERSION does not call the plugin"
    );
}

/// CHECK since 0.4.0, GC and STATUS since 1.1.0, the others always.
#[test]
fn commands_require_versions() {
    for version in SpecVersion::ALL {
        for command in Command::ALL {
            let plugin = Recorder::default();
            let output = call(&plugin, &environment(command.as_str()), &conf(*version));
            let allowed = match command {
                Command::Check => *version >= SpecVersion::V0_4_0,
                Command::Gc | Command::Status => *version >= SpecVersion::V1_1_0,
                _ => true,
            };
            assert_eq!(output.exit, u8::from(!allowed), "{command} {version}");
            if !allowed {
                assert_eq!(output.code(), 1);
                assert_eq!(output.document()["cniVersion"], version.as_str());
                assert!(plugin.calls.borrow().is_empty());
            }
        }
    }
}

#[test]
fn an_unsupported_version_error_names_both_sides() {
    let plugin = Recorder {
        versions: Some(vec![SpecVersion::V0_4_0, SpecVersion::V1_0_0]),
        ..Recorder::default()
    };
    for text in [
        r#"{"name":"a","cniVersion":"1.1.0"}"#,
        r#"{"name":"a","cniVersion":"9.9.9"}"#,
        r#"{"name":"a"}"#,
    ] {
        let output = call(&plugin, &environment("ADD"), text.as_bytes());
        assert_eq!(output.code(), 1);
        let found = if text.contains('9') {
            "9.9.9"
        } else if text.contains("1.1") {
            "1.1.0"
        } else {
            ""
        };
        assert_eq!(
            output.document(),
            json!({
                "cniVersion": "1.0.0",
                "code": 1,
                "msg": "incompatible CNI versions",
                "details": format!("field `cniVersion` is `{found}`, supported versions are 0.4.0, 1.0.0"),
            })
        );
    }
    assert!(plugin.calls.borrow().is_empty());
}

#[test]
fn version_echoes_the_version_of_the_request() {
    let supported = [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ];
    for (stdin, echoed, is_logged) in [
        (&b""[..], "1.1.0", false),
        (b" \n", "1.1.0", false),
        (b"{}", "1.1.0", false),
        (br#"{"cniVersion":""}"#, "1.1.0", false),
        (br#"{"cniVersion":"0.4.0"}"#, "0.4.0", false),
        (br#"{"cniVersion":"9.9.9"}"#, "9.9.9", false),
        (b"nonsense", "1.1.0", true),
        (b"\xff\xfe", "1.1.0", true),
    ] {
        let output = call(&Recorder::default(), &[("CNI_COMMAND", "VERSION")], stdin);
        assert_eq!(output.exit, 0);
        assert_eq!(
            output.document(),
            json!({"cniVersion": echoed, "supportedVersions": supported})
        );
        assert_eq!(!output.stderr.is_empty(), is_logged, "{}", output.stderr);
    }
}

#[test]
fn without_a_command_name_and_versions_are_printed() {
    let about = "recorder 1.2.3\nCNI protocol versions supported: \
                0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n";
    for pairs in [&[][..], &[("CNI_COMMAND", "")]] {
        let output = call(&Recorder::default(), pairs, b"");
        assert_eq!(
            (output.exit, output.stdout.as_str(), output.stderr.as_str()),
            (0, "", about)
        );
    }
}

#[test]
fn an_unknown_command_error_contains_it() {
    for command in ["add", "UPDATE", "ADD "] {
        let output = call(&Recorder::default(), &[("CNI_COMMAND", command)], b"");
        assert_eq!(output.code(), 4);
        assert!(
            output.msg().contains(&format!("`{command}`")),
            "{}",
            output.msg()
        );
    }
}

#[test]
fn a_panic_is_one_error_object() {
    let plugin = Recorder {
        panics: true,
        ..Recorder::default()
    };
    for command in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
        let output = call(&plugin, &environment(command), &conf(SpecVersion::V1_1_0));
        assert_eq!(output.code(), 999);
        assert_eq!(output.msg(), "the plugin panicked: first line second line");
        assert!(
            output.document()["details"]
                .as_str()
                .unwrap()
                .contains("report it")
        );
    }
}

/// The namespace is missing, empty or not a namespace; no previous result; invalid fields; twice.
#[test]
fn del_succeeds_with_invalid_input() {
    let invalid =
        br#"{"name":"net","cniVersion":"1.0.0","dns":5,"prevResult":"?","ipam":[],"args":0}"#;
    for netns in [None, Some(""), Some("/gone"), Some("/dev/null")] {
        for stdin in [&br#"{"name":"net"}"#[..], invalid] {
            let mut pairs = environment("DEL");
            pairs.retain(|(name, _)| *name != "CNI_NETNS");
            pairs.extend(netns.map(|netns| ("CNI_NETNS", netns)));
            for _ in 0..2 {
                let output = call(&Recorder::default(), &pairs, stdin);
                assert_eq!((output.exit, output.stdout.as_str()), (0, ""));
            }
        }
    }
    let output = call(&Recorder::default(), &environment("DEL"), invalid);
    assert_eq!(
        output.stderr.lines().count(),
        4,
        "ignored errors are printed: {}",
        output.stderr
    );
    let output = call(&Recorder::default(), &environment("ADD"), invalid);
    assert_eq!(output.code(), 7, "ADD does not ignore errors");
}

#[test]
fn gc_distinguishes_no_attachments_from_unknown_ones() {
    for (keys, called) in [
        ("", "gc None"),
        (r#","cni.dev/valid-attachments":[]"#, "gc Some(0)"),
        (
            r#","cni.dev/attachments":[{"containerID":"c","ifname":"eth0"}]"#,
            "gc Some(1)",
        ),
    ] {
        let plugin = Recorder::default();
        let stdin = format!(r#"{{"name":"net","cniVersion":"1.1.0"{keys}}}"#);
        assert_eq!(call(&plugin, &environment("GC"), stdin.as_bytes()).exit, 0);
        assert_eq!(*plugin.calls.borrow(), [called]);
    }
}

#[test]
fn errors_have_the_version_of_the_request() {
    let error = |stdin: &str| call(&Recorder::default(), &environment("ADD"), stdin.as_bytes());
    let output = error(r#"{"cniVersion":"0.3.1"}"#);
    assert_eq!(
        (output.code(), &output.document()["cniVersion"]),
        (7, &json!("0.3.1"))
    );
    let output = error("{");
    assert_eq!(
        (output.code(), &output.document()["cniVersion"]),
        (6, &json!("1.1.0"))
    );
}

#[test]
fn a_configuration_over_the_limit_is_an_error() {
    let mut stdin = conf(SpecVersion::V1_0_0);
    stdin.resize(STDIN_LIMIT, b' ');
    assert_eq!(
        call(&Recorder::default(), &environment("ADD"), &stdin).exit,
        0,
        "the limit itself"
    );
    stdin.push(b' ');
    let output = call(&Recorder::default(), &environment("ADD"), &stdin);
    assert_eq!(output.code(), 6);
    assert!(output.msg().contains("8388608"), "{}", output.msg());
}

/// A stream that cannot be read or written.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken pipe"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("broken pipe"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn stdin_that_cannot_be_read() {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let add = Environment::from_pairs(environment("ADD"));
    let exit = run(
        &Recorder::default(),
        &add,
        &mut Broken,
        &mut stdout,
        &mut stderr,
    );
    let document: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!((exit, &document["code"]), (1, &json!(5)));
    stdout.clear();
    let version = Environment::from_pairs([("CNI_COMMAND", "VERSION")]);
    let exit = run(
        &Recorder::default(),
        &version,
        &mut Broken,
        &mut stdout,
        &mut stderr,
    );
    assert_eq!(exit, 0, "VERSION does not need stdin");
}

#[test]
fn stdout_that_cannot_be_written() {
    let mut stderr = Vec::new();
    let add = Environment::from_pairs(environment("ADD"));
    let stdin = conf(SpecVersion::V1_0_0);
    let exit = run(
        &Recorder::default(),
        &add,
        &mut stdin.as_slice(),
        &mut Broken,
        &mut stderr,
    );
    assert_eq!(exit, 1, "an ADD fails if its result cannot be written");
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(stderr, "cannot write the result to stdout: broken pipe\n");
    let exit = run(
        &Recorder::default(),
        &add,
        &mut stdin.as_slice(),
        &mut Broken,
        &mut Broken,
    );
    assert_eq!(exit, 1, "even if stderr cannot be written");
}
