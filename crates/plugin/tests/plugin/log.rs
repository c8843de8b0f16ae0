//! The log: a file of limited size that only root can read, and stderr.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::Node;

#[test]
fn each_decision_is_one_line_in_the_file_and_on_stderr() {
    let node = Node::new();
    let answer = node.call("ADD").with("CNI_ARGS", "").run();
    let log = node.path().join("run/plugin.log");
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text, answer.stderr);
    assert_eq!(text.lines().count(), 1);
    assert!(
        text.contains(" INFO ADD container=0123456789abcdef"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(node.path().join("run"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[test]
fn the_level_is_configurable() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["plugin_log_level"] = json!("error");
    let answer = node.call("ADD").with("CNI_ARGS", "").conf(&conf).run();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
}

#[test]
fn unknown_fields_cause_one_warning() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["ambient_enabled"] = json!(false);
    conf["native_nftables"] = json!(true);
    let answer = node.call("ADD").with("CNI_ARGS", "").conf(&conf).run();
    let warnings: Vec<_> = answer
        .stderr
        .lines()
        .filter(|line| line.contains(" WARN "))
        .collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with("are ignored: ambient_enabled, native_nftables"));
}

#[test]
fn a_full_file_is_renamed() {
    let node = Node::new();
    let run = node.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("plugin.log"), vec![b'x'; 1024 * 1024]).unwrap();
    node.call("ADD").with("CNI_ARGS", "").run();
    assert_eq!(
        fs::metadata(run.join("plugin.log.1")).unwrap().len(),
        1024 * 1024
    );
    assert_eq!(
        fs::read_to_string(run.join("plugin.log"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_pod_starts_without_a_log_file() {
    let node = Node::new();
    fs::write(
        node.path().join("run"),
        "a file where a directory should be",
    )
    .unwrap();
    let answer = node.call("ADD").with("CNI_ARGS", "").run();
    assert_eq!(answer.code, 0);
    assert!(answer.stderr.contains("no log file"), "{}", answer.stderr);
}
