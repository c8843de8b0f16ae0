//! One call in, at most one document out.

use std::io::{self, Read, Write};

use mesh_cni_spec::{Command, Environment, STDIN_LIMIT, SpecVersion, run};
use serde_json::json;

use crate::support::{Recorder, call, configuration, environment};

fn conf(version: SpecVersion) -> Vec<u8> {
    configuration(version).to_string().into_bytes()
}

#[test]
fn six_verbs_reach_the_plugin() {
    for (command, called, has_output) in [
        ("ADD", "add c1 /var/run/netns/c1 eth0", true),
        ("CHECK", "check c1", false),
        ("DEL", "del c1 Some(\"/var/run/netns/c1\")", false),
        ("GC", "gc None", false),
        ("STATUS", "status", false),
    ] {
        let plugin = Recorder::default();
        let answer = call(&plugin, &environment(command), &conf(SpecVersion::V1_1_0));
        assert_eq!((answer.exit, answer.stderr.as_str()), (0, ""), "{command}");
        assert_eq!(*plugin.calls.borrow(), [called]);
        assert_eq!(
            answer.stdout.is_empty(),
            !has_output,
            "{command}: {}",
            answer.stdout
        );
    }
    let plugin = Recorder::default();
    assert_eq!(call(&plugin, &environment("VERSION"), b"").exit, 0);
    assert!(
        plugin.calls.borrow().is_empty(),
        "VERSION is answered without the plugin"
    );
}

/// CHECK since 0.4.0, GC and STATUS since 1.1.0, everything else always.
#[test]
fn commands_are_bound_to_versions() {
    for version in SpecVersion::ALL {
        for command in Command::ALL {
            let plugin = Recorder::default();
            let answer = call(&plugin, &environment(command.as_str()), &conf(*version));
            let allowed = match command {
                Command::Check => *version >= SpecVersion::V0_4_0,
                Command::Gc | Command::Status => *version >= SpecVersion::V1_1_0,
                _ => true,
            };
            assert_eq!(answer.exit, u8::from(!allowed), "{command} {version}");
            if !allowed {
                assert_eq!(answer.code(), 1);
                assert_eq!(answer.document()["cniVersion"], version.as_str());
                assert!(plugin.calls.borrow().is_empty());
            }
        }
    }
}

#[test]
fn a_version_that_is_not_spoken_names_both_sides() {
    let plugin = Recorder {
        versions: Some(vec![SpecVersion::V0_4_0, SpecVersion::V1_0_0]),
        ..Recorder::default()
    };
    for text in [
        r#"{"name":"a","cniVersion":"1.1.0"}"#,
        r#"{"name":"a","cniVersion":"9.9.9"}"#,
        r#"{"name":"a"}"#,
    ] {
        let answer = call(&plugin, &environment("ADD"), text.as_bytes());
        assert_eq!(answer.code(), 1);
        let found = if text.contains('9') {
            "9.9.9"
        } else if text.contains("1.1") {
            "1.1.0"
        } else {
            ""
        };
        assert_eq!(
            answer.document(),
            json!({
                "cniVersion": "1.0.0",
                "code": 1,
                "msg": "incompatible CNI versions",
                "details": format!("field `cniVersion` is `{found}`, supported are 0.4.0, 1.0.0"),
            })
        );
    }
    assert!(plugin.calls.borrow().is_empty());
}

#[test]
fn version_echoes_what_it_was_asked_with() {
    let supported = [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ];
    for (stdin, echoed, is_noted) in [
        (&b""[..], "1.1.0", false),
        (b" \n", "1.1.0", false),
        (b"{}", "1.1.0", false),
        (br#"{"cniVersion":""}"#, "1.1.0", false),
        (br#"{"cniVersion":"0.4.0"}"#, "0.4.0", false),
        (br#"{"cniVersion":"9.9.9"}"#, "9.9.9", false),
        (b"nonsense", "1.1.0", true),
        (b"\xff\xfe", "1.1.0", true),
    ] {
        let answer = call(&Recorder::default(), &[("CNI_COMMAND", "VERSION")], stdin);
        assert_eq!(answer.exit, 0);
        assert_eq!(
            answer.document(),
            json!({"cniVersion": echoed, "supportedVersions": supported})
        );
        assert_eq!(!answer.stderr.is_empty(), is_noted, "{}", answer.stderr);
    }
}

#[test]
fn without_a_command_the_plugin_introduces_itself() {
    let said = "recorder 1.2.3\nCNI protocol versions supported: \
                0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n";
    for pairs in [&[][..], &[("CNI_COMMAND", "")]] {
        let answer = call(&Recorder::default(), pairs, b"");
        assert_eq!(
            (answer.exit, answer.stdout.as_str(), answer.stderr.as_str()),
            (0, "", said)
        );
    }
}

#[test]
fn an_unknown_command_is_named() {
    for command in ["add", "UPDATE", "ADD "] {
        let answer = call(&Recorder::default(), &[("CNI_COMMAND", command)], b"");
        assert_eq!(answer.code(), 4);
        assert!(
            answer.msg().contains(&format!("`{command}`")),
            "{}",
            answer.msg()
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
        let answer = call(&plugin, &environment(command), &conf(SpecVersion::V1_1_0));
        assert_eq!(answer.code(), 999);
        assert_eq!(answer.msg(), "the plugin panicked: the ground opened");
        assert!(
            answer.document()["details"]
                .as_str()
                .unwrap()
                .contains("report it")
        );
    }
}

/// The namespace is missing, empty or no namespace at all; no previous result; odd fields; twice.
#[test]
fn del_goes_through() {
    let odd = br#"{"name":"net","cniVersion":"1.0.0","dns":5,"prevResult":"?","ipam":[],"args":0}"#;
    for netns in [None, Some(""), Some("/gone"), Some("/dev/null")] {
        for stdin in [&br#"{"name":"net"}"#[..], odd] {
            let mut pairs = environment("DEL");
            pairs.retain(|(name, _)| *name != "CNI_NETNS");
            pairs.extend(netns.map(|netns| ("CNI_NETNS", netns)));
            for _ in 0..2 {
                let answer = call(&Recorder::default(), &pairs, stdin);
                assert_eq!((answer.exit, answer.stdout.as_str()), (0, ""));
            }
        }
    }
    let answer = call(&Recorder::default(), &environment("DEL"), odd);
    assert_eq!(
        answer.stderr.lines().count(),
        4,
        "what is ignored is said: {}",
        answer.stderr
    );
    let answer = call(&Recorder::default(), &environment("ADD"), odd);
    assert_eq!(answer.code(), 7, "ADD is not so patient");
}

#[test]
fn gc_tells_nothing_from_no_information() {
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
fn errors_carry_the_version_that_was_asked_with() {
    let error = |stdin: &str| call(&Recorder::default(), &environment("ADD"), stdin.as_bytes());
    let answer = error(r#"{"cniVersion":"0.3.1"}"#);
    assert_eq!(
        (answer.code(), &answer.document()["cniVersion"]),
        (7, &json!("0.3.1"))
    );
    let answer = error("{");
    assert_eq!(
        (answer.code(), &answer.document()["cniVersion"]),
        (6, &json!("1.1.0"))
    );
}

#[test]
fn a_configuration_without_end_is_refused() {
    let mut stdin = conf(SpecVersion::V1_0_0);
    stdin.resize(STDIN_LIMIT, b' ');
    assert_eq!(
        call(&Recorder::default(), &environment("ADD"), &stdin).exit,
        0,
        "the limit itself"
    );
    stdin.push(b' ');
    let answer = call(&Recorder::default(), &environment("ADD"), &stdin);
    assert_eq!(answer.code(), 6);
    assert!(answer.msg().contains("8388608"), "{}", answer.msg());
}

/// A stream that is broken at both ends.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the pipe is gone"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("the pipe is gone"))
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
    assert_eq!(exit, 0, "VERSION needs no stdin");
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
    assert_eq!(exit, 1, "an ADD whose result nobody got has failed");
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(
        stderr,
        "the answer could not be written to stdout: the pipe is gone\n"
    );
    let exit = run(
        &Recorder::default(),
        &add,
        &mut stdin.as_slice(),
        &mut Broken,
        &mut Broken,
    );
    assert_eq!(exit, 1, "even when there is nobody left to tell");
}
