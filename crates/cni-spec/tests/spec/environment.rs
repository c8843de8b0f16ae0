//! Environment variables: requests and errors.

use std::cell::RefCell;
use std::path::PathBuf;

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, TraceContext,
};
use serde_json::{Value, json};

use crate::support::{Recorder, call, call_in, environment};

const CONF: &[u8] = br#"{"cniVersion":"1.1.0","name":"net","type":"x","prevResult":{}}"#;

/// Every subset of the three variables, unset or empty, for each command on an attachment.
#[test]
fn one_error_names_all_missing_variables() {
    let variables = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
    for (command, required) in [("ADD", 0b111), ("CHECK", 0b111), ("DEL", 0b101)] {
        for absent in 0..8_u8 {
            let is_absent = |name: &str| {
                variables
                    .iter()
                    .position(|known| *known == name)
                    .is_some_and(|at| absent & 1 << at != 0)
            };
            let missing: Vec<&str> = variables
                .into_iter()
                .enumerate()
                .filter(|(at, _)| absent & required & 1 << at != 0)
                .map(|(_, name)| name)
                .collect();
            let mut unset = environment(command);
            unset.retain(|(name, _)| !is_absent(name));
            let mut empty = environment(command);
            empty
                .iter_mut()
                .filter(|(name, _)| is_absent(name))
                .for_each(|(_, value)| *value = "");
            for pairs in [unset, empty] {
                let output = call(&Recorder::default(), &pairs, CONF);
                if missing.is_empty() {
                    assert_eq!(output.exit, 0, "{command} {absent:03b}: {output:?}");
                    continue;
                }
                assert_eq!(output.code(), 4, "{command} {absent:03b}");
                let msg = output.msg();
                let (_, named) = msg.split_once(": ").unwrap();
                assert_eq!(named, missing.join(", "), "{command} {absent:03b}");
            }
        }
    }
}

#[test]
fn commands_without_an_attachment_require_no_variables() {
    for command in ["GC", "STATUS", "VERSION"] {
        let output = call(&Recorder::default(), &[("CNI_COMMAND", command)], CONF);
        assert_eq!(output.exit, 0, "{command}: {output:?}");
    }
}

#[test]
fn errors_contain_invalid_values() {
    let cases = [
        (
            "CNI_CONTAINERID",
            "-a",
            "CNI_CONTAINERID is `-a`, but must start with an ASCII letter or digit",
        ),
        (
            "CNI_CONTAINERID",
            "a/b",
            "CNI_CONTAINERID is `a/b`, but `/` is not an ASCII letter, digit, `_`, `.` or `-`",
        ),
        (
            "CNI_IFNAME",
            "..",
            "CNI_IFNAME is `..`, but `.` and `..` are not allowed",
        ),
        (
            "CNI_IFNAME",
            "a:b",
            "CNI_IFNAME is `a:b`, but `/`, `:` and whitespace are not allowed",
        ),
        (
            "CNI_IFNAME",
            "abcdefghijklmnop",
            "CNI_IFNAME is `abcdefghijklmnop`, which has 16 bytes, but at most 15 are allowed",
        ),
    ];
    for (name, value, msg) in cases {
        let mut pairs = environment("ADD");
        pairs.push((name, value));
        let output = call(&Recorder::default(), &pairs, CONF);
        assert_eq!((output.code(), output.msg().as_str()), (4, msg));
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8_is_an_error_with_the_variable() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    for name in [
        "CNI_COMMAND",
        "CNI_CONTAINERID",
        "CNI_NETNS",
        "CNI_IFNAME",
        "CNI_ARGS",
        "CNI_PATH",
    ] {
        let mut pairs: Vec<(OsString, OsString)> = environment("ADD")
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        pairs.push((name.into(), OsString::from_vec(vec![b'a', 0xff])));
        let output = call_in(&Recorder::default(), &Environment::from_pairs(pairs), CONF);
        assert_eq!(output.code(), 4);
        assert!(
            output.msg().starts_with(&format!("{name} is ")),
            "{}",
            output.msg()
        );
    }
    let mut pairs: Vec<(OsString, OsString)> = environment("ADD")
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    pairs.push(("TRACEPARENT".into(), OsString::from_vec(vec![0xff])));
    pairs.push(("UNRELATED".into(), OsString::from_vec(vec![0xff])));
    let output = call_in(&Recorder::default(), &Environment::from_pairs(pairs), CONF);
    assert_eq!(
        output.exit, 0,
        "trace context and unrelated variables do not matter: {output:?}"
    );
}

/// Records the request of the last ADD.
#[derive(Default)]
struct Recording(RefCell<Option<AddRequest>>);

impl Plugin for Recording {
    fn about(&self) -> &'static str {
        "recording"
    }

    fn add(&self, request: &AddRequest) -> Result<Value, CniError> {
        *self.0.borrow_mut() = Some(request.clone());
        Ok(json!({}))
    }

    fn check(&self, _: &CheckRequest) -> Result<(), CniError> {
        Ok(())
    }

    fn del(&self, _: &DelRequest) -> Result<(), CniError> {
        Ok(())
    }
}

fn add_request(variables: &[(&'static str, &'static str)]) -> AddRequest {
    let mut pairs = environment("ADD");
    pairs.extend(variables);
    let plugin = Recording::default();
    let output = call(&plugin, &pairs, CONF);
    assert_eq!(
        output.stdout, "{\"cniVersion\":\"1.1.0\"}\n",
        "cniVersion is added"
    );
    plugin.0.into_inner().unwrap()
}

#[test]
fn a_request_contains_the_environment() {
    let request = add_request(&[
        (
            "CNI_ARGS",
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;",
        ),
        ("TRACEPARENT", "00-1-2-01"),
    ]);
    assert_eq!(request.container_id.as_str(), "c1");
    assert_eq!(request.netns, PathBuf::from("/var/run/netns/c1"));
    assert_eq!(request.ifname.as_str(), "eth0");
    assert_eq!(
        request.path,
        [PathBuf::from("/opt/cni/bin"), PathBuf::from("/usr/lib/cni")]
    );
    assert_eq!(request.args.pod().unwrap().unwrap().name, "pod");
    assert!(!request.netns_override);
    let traceparent = Some("00-1-2-01".to_owned());
    assert_eq!(
        request.trace,
        TraceContext {
            traceparent,
            tracestate: None,
            baggage: None
        }
    );
}

#[test]
fn the_namespace_override_is_1_or_true() {
    for value in ["1", "true", "True", "TRUE"] {
        assert!(
            add_request(&[("CNI_NETNS_OVERRIDE", value)]).netns_override,
            "{value}"
        );
    }
    for value in ["", "0", "yes", "false"] {
        assert!(
            !add_request(&[("CNI_NETNS_OVERRIDE", value)]).netns_override,
            "{value}"
        );
    }
}
