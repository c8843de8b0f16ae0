//! What is taken from the environment, and what is said when it is not there.

use std::cell::RefCell;
use std::path::PathBuf;

use mesh_cni_spec::{
    AddRequest, CheckRequest, CniError, DelRequest, Environment, Plugin, TraceContext,
};
use serde_json::{Value, json};

use crate::support::{Recorder, call, call_in, environment};

const CONF: &[u8] = br#"{"cniVersion":"1.1.0","name":"net","type":"x","prevResult":{}}"#;

/// Every subset of the three variables, for each command on an attachment, both unset and empty.
#[test]
fn all_missing_variables_are_named_at_once() {
    let variables = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
    for (command, needed) in [("ADD", 0b111), ("CHECK", 0b111), ("DEL", 0b101)] {
        for gone in 0..8_u8 {
            let is_gone = |name: &str| {
                variables
                    .iter()
                    .position(|known| *known == name)
                    .is_some_and(|at| gone & 1 << at != 0)
            };
            let missing: Vec<&str> = variables
                .into_iter()
                .enumerate()
                .filter(|(at, _)| gone & needed & 1 << at != 0)
                .map(|(_, name)| name)
                .collect();
            let mut unset = environment(command);
            unset.retain(|(name, _)| !is_gone(name));
            let mut empty = environment(command);
            empty
                .iter_mut()
                .filter(|(name, _)| is_gone(name))
                .for_each(|(_, value)| *value = "");
            for pairs in [unset, empty] {
                let answer = call(&Recorder::default(), &pairs, CONF);
                if missing.is_empty() {
                    assert_eq!(answer.exit, 0, "{command} {gone:03b}: {answer:?}");
                    continue;
                }
                assert_eq!(answer.code(), 4, "{command} {gone:03b}");
                let said = answer.msg();
                let (_, said) = said.split_once(": ").unwrap();
                assert_eq!(said, missing.join(", "), "{command} {gone:03b}");
            }
        }
    }
}

#[test]
fn commands_without_an_attachment_need_no_variables() {
    for command in ["GC", "STATUS", "VERSION"] {
        let answer = call(&Recorder::default(), &[("CNI_COMMAND", command)], CONF);
        assert_eq!(answer.exit, 0, "{command}: {answer:?}");
    }
}

#[test]
fn values_that_are_not_allowed_are_named() {
    let cases = [
        (
            "CNI_CONTAINERID",
            "-a",
            "CNI_CONTAINERID is `-a`, but must begin with an ASCII letter or digit",
        ),
        (
            "CNI_CONTAINERID",
            "a/b",
            "CNI_CONTAINERID is `a/b`, but `/` is none of the ASCII letters, digits, `_`, `.` and `-`",
        ),
        (
            "CNI_IFNAME",
            "..",
            "CNI_IFNAME is `..`, but `.` and `..` are not allowed",
        ),
        (
            "CNI_IFNAME",
            "a:b",
            "CNI_IFNAME is `a:b`, but `/`, `:` and white space are not allowed",
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
        let answer = call(&Recorder::default(), &pairs, CONF);
        assert_eq!((answer.code(), answer.msg().as_str()), (4, msg));
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_refused_with_its_name() {
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
        let answer = call_in(&Recorder::default(), &Environment::from_pairs(pairs), CONF);
        assert_eq!(answer.code(), 4);
        assert!(
            answer.msg().starts_with(&format!("{name} is ")),
            "{}",
            answer.msg()
        );
    }
    let mut pairs: Vec<(OsString, OsString)> = environment("ADD")
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    pairs.push(("TRACEPARENT".into(), OsString::from_vec(vec![0xff])));
    pairs.push(("UNRELATED".into(), OsString::from_vec(vec![0xff])));
    let answer = call_in(&Recorder::default(), &Environment::from_pairs(pairs), CONF);
    assert_eq!(
        answer.exit, 0,
        "what is for logs or for others fails no call: {answer:?}"
    );
}

/// Keeps the request of the last ADD.
#[derive(Default)]
struct Keeper(RefCell<Option<AddRequest>>);

impl Plugin for Keeper {
    fn about(&self) -> &'static str {
        "keeper"
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

fn added(more: &[(&'static str, &'static str)]) -> AddRequest {
    let mut pairs = environment("ADD");
    pairs.extend(more);
    let keeper = Keeper::default();
    let answer = call(&keeper, &pairs, CONF);
    assert_eq!(
        answer.stdout, "{\"cniVersion\":\"1.1.0\"}\n",
        "the version is added"
    );
    keeper.0.into_inner().unwrap()
}

#[test]
fn a_request_carries_the_whole_environment() {
    let request = added(&[
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
    assert_eq!(request.args.pod().unwrap().name, "pod");
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
fn the_namespace_override_has_two_spellings() {
    for value in ["1", "true", "True", "TRUE"] {
        assert!(
            added(&[("CNI_NETNS_OVERRIDE", value)]).netns_override,
            "{value}"
        );
    }
    for value in ["", "0", "yes", "false"] {
        assert!(
            !added(&[("CNI_NETNS_OVERRIDE", value)]).netns_override,
            "{value}"
        );
    }
}
