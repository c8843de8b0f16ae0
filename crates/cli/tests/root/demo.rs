//! The demo: its output, and that it removes everything, even if it is interrupted or killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::machine::{
    Traces, copy_program, demo_processes, exclusive, mesh_cnictl, output, stderr, stdout,
};

const STATE_FILE: &str = "/run/mesh-cni/demo.json";

/// The starts of the lines of the steps. In the last one everything is removed.
const STEPS: [&str; 6] = ["1  ", "2  ", "3  ", "4  ", "5  ", "6  "];
const LAST: &str = "7  ";

#[test]
fn all_checks_pass_and_everything_is_removed() {
    let _lock = exclusive();
    let before = Traces::now();
    let ended = output(&mut mesh_cnictl(&["demo"]));
    let text = stdout(&ended);
    assert!(ended.status.success(), "{text}{}", stderr(&ended));
    assert!(text.ends_with("\nAll checks passed.\n"), "{text}");
    assert!(!text.contains("\n no "), "{text}");
    assert!(text.contains(" -n iptables -L -t nat -n -v --line-numbers -x\n"));
    let chains = text.matches("Chain ISTIO_IN_REDIRECT ").count();
    assert_eq!(chains, 1, "the rules are printed once: {text}");
    assert_eq!(stderr(&ended), "");
    before.assert_restored();
}

#[test]
fn json_contains_the_requests() {
    let _lock = exclusive();
    let ended = output(&mut mesh_cnictl(&["demo", "--output", "json"]));
    let document: Value = serde_json::from_str(&stdout(&ended)).unwrap();
    assert_eq!(document["as_expected"], json!(true));
    assert_eq!(document["reviews"]["redirected"], json!(false));
    assert_eq!(document["productpage"]["redirected"], json!(true));
    let first = &document["requests"][0]["hops"];
    assert_eq!(
        first[0],
        json!({
            "through": 15006,
            "original": "10.244.1.17:9080",
            "answered": {"by": "productpage", "user": 1000},
            "asked_by": "127.0.0.6",
        })
    );
    assert_eq!(
        first[1],
        json!({
            "through": 15001,
            "original": "10.244.1.18:9080",
            "answered": {"by": "reviews", "user": 1000},
            "asked_by": "10.244.1.17",
        })
    );
}

#[test]
fn the_demo_of_each_mesh_passes() {
    let _lock = exclusive();
    let before = Traces::now();
    for (mesh, user, ports, chain, source, to_own) in [
        (
            "linkerd",
            2102,
            [4143, 4140],
            "PROXY_INIT_REDIRECT",
            "linkerd2-proxy-init",
            Value::Null,
        ),
        (
            "kuma",
            5678,
            [15006, 15001],
            "KUMA_MESH_INBOUND_REDIRECT",
            "kumactl",
            json!(15006),
        ),
    ] {
        let ended = output(&mut mesh_cnictl(&["demo", "--mesh", mesh]));
        let text = stdout(&ended);
        assert!(ended.status.success(), "{mesh}: {text}{}", stderr(&ended));
        assert!(text.ends_with("\nAll checks passed.\n"), "{text}");
        assert!(!text.contains("ISTIO"), "{text}");
        let chains = text.matches(&format!("Chain {chain} ")).count();
        assert_eq!(chains, 1, "{text}");
        let reference = format!("Comparison with the rules of {source}\n");
        assert!(text.contains(&reference), "{text}");
        for program in ["iptables", "mesh-cnictl"] {
            let compared = text.lines().any(|line| {
                let line = line.strip_prefix(&format!(" ok output of {program}: all "));
                line.is_some_and(|line| line.ends_with(" rules are as compiled"))
            });
            assert!(compared, "{program}: {text}");
        }
        let json = stdout(&output(&mut mesh_cnictl(&[
            "demo", "--output", "json", "--mesh", mesh,
        ])));
        let document: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["as_expected"], json!(true), "{document}");
        assert_eq!(document["reviews"]["redirected"], json!(false));
        let requests = &document["requests"];
        let through =
            |request: usize, hop: usize| requests[request]["hops"][hop]["through"].clone();
        assert_eq!([through(0, 0), through(0, 1)], ports.map(Value::from));
        let probe = &requests[1]["hops"][0];
        assert_eq!(probe["answered"], json!({"by": "proxy", "user": user}));
        assert_eq!(through(1, 0), Value::Null, "an excluded port");
        assert_eq!(through(3, 0), to_own, "the proxy to its own pod");
        assert_eq!(through(4, 0), Value::Null, "the proxy to another pod");
    }
    before.assert_restored();
}

#[test]
fn a_kept_demo_of_another_mesh_can_be_verified() {
    let _lock = exclusive();
    let before = Traces::now();
    let kept = output(&mut mesh_cnictl(&["demo", "--keep", "--mesh", "linkerd"]));
    let text = stdout(&kept);
    assert!(kept.status.success(), "{text}{}", stderr(&kept));
    let own = format!("     {} verify ", env!("CARGO_BIN_EXE_mesh-cnictl"));
    let arguments = text.lines().find_map(|line| line.strip_prefix(&own));
    let words: Vec<_> = ["verify"]
        .into_iter()
        .chain(arguments.unwrap().split(' '))
        .collect();
    let verified = output(&mut mesh_cnictl(&words));
    assert!(verified.status.success(), "{}", stderr(&verified));
    let delete = text.lines().find_map(|line| {
        line.strip_prefix("     nsenter ")
            .filter(|line| line.contains(" -D "))
    });
    nsenter(delete.unwrap());
    let broken = output(&mut mesh_cnictl(&words));
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
    let missing = "chain PROXY_INIT_REDIRECT: rule 1";
    assert!(stderr(&broken).contains(missing), "{}", stderr(&broken));
    let cleaned = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(stdout(&cleaned), "demo removed, 6 processes killed\n");
    before.assert_restored();
}

/// A plugin that only returns `prevResult`.
const IDLE_PLUGIN: &str = "#!/bin/sed -nf\ns/.*\"prevResult\":\\(.*\\)}$/\\1/p\n";

#[test]
fn a_plugin_that_applies_no_rules_fails_the_checks() {
    let _lock = exclusive();
    let before = Traces::now();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("idle");
    fs::create_dir_all(&directory).unwrap();
    let (program, plugin) = (directory.join("mesh-cnictl"), directory.join("mesh-cni"));
    copy_program(Path::new(env!("CARGO_BIN_EXE_mesh-cnictl")), &program);
    let source = directory.join("idle-plugin");
    fs::write(&source, IDLE_PLUGIN).unwrap();
    copy_program(&source, &plugin);
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();

    let ended = output(Command::new(&program).arg("demo"));
    let text = stdout(&ended);
    assert_eq!(ended.status.code(), Some(1), "{text}{}", stderr(&ended));
    for failed in [
        "\n no productpage: no rules, traffic is not redirected\n",
        "\n no reviews requests productpage, which requests reviews\n",
        "\n no the proxy requests its own pod's address\n",
        "\n no output of iptables differs from the documented dump\n",
        "\n no output of mesh-cnictl differs from the documented dump\n",
    ] {
        assert!(text.contains(failed), "{failed}{text}");
    }
    assert!(text.contains("\nSome checks failed"), "{text}");

    let ended = output(Command::new(&program).args(["demo", "--mesh", "linkerd"]));
    let text = stdout(&ended);
    assert_eq!(ended.status.code(), Some(1), "{text}{}", stderr(&ended));
    let failed = "\n no output of iptables differs from the rules of linkerd2-proxy-init\n";
    assert!(text.contains(failed), "{text}");
    before.assert_restored();
}

#[test]
fn an_interruption_at_any_step_removes_everything() {
    let _lock = exclusive();
    let before = Traces::now();
    for step in STEPS {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let status = signalled_at(step, signal);
            assert_eq!(status.signal(), Some(signal as i32), "{step}: {status}");
            before.assert_restored();
        }
    }
    signalled_at(LAST, Signal::SIGINT);
    before.assert_restored();
}

#[test]
fn a_kill_at_any_step_removes_everything() {
    let _lock = exclusive();
    let before = Traces::now();
    for step in STEPS {
        let status = signalled_at(step, Signal::SIGKILL);
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{step}");
        before.assert_restored();
    }
    signalled_at(LAST, Signal::SIGKILL);
    before.assert_restored();
}

#[test]
fn a_kept_demo_runs_until_the_cleanup() {
    let _lock = exclusive();
    let before = Traces::now();
    let kept = output(&mut mesh_cnictl(&["demo", "--keep"]));
    assert!(kept.status.success(), "{}", stderr(&kept));
    assert_eq!(
        demo_processes().len(),
        6,
        "two sandboxes, two apps, the proxy, the node"
    );
    let mode = fs::metadata(STATE_FILE).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let text = stdout(&kept);
    let commands: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("     nsenter "))
        .collect();
    let [dump, break_rule, ask_pod, ask_reviews, links] = commands[..] else {
        panic!("{text}");
    };
    assert!(nsenter(dump).contains("ISTIO_IN_REDIRECT"));
    let own = |command: &str| {
        let start = format!("     {} {command} ", env!("CARGO_BIN_EXE_mesh-cnictl"));
        let arguments = text.lines().find_map(|line| line.strip_prefix(&start));
        let arguments = arguments.unwrap_or_else(|| panic!("{text}"));
        let mut words = vec![command];
        for (index, part) in arguments.split('\'').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace()),
                _ => words.push(part),
            }
        }
        output(&mut mesh_cnictl(&words))
    };
    let verified = own("verify");
    assert!(verified.status.success(), "{}", stderr(&verified));
    let explained = stdout(&own("explain"));
    assert!(
        explained.contains("outbound listener on 15001"),
        "{explained}"
    );
    let page = nsenter(ask_pod);
    assert!(
        page.contains(r#""who":"productpage""#) && page.contains("127.0.0.6"),
        "{page}"
    );
    assert!(nsenter(ask_reviews).contains(r#""who":"reviews""#));
    assert!(nsenter(links).contains("mesh0"));
    nsenter(break_rule);
    let broken = own("verify");
    assert_eq!(broken.status.code(), Some(1));
    let missing = "chain ISTIO_INBOUND: rule 6 is missing";
    assert!(stderr(&broken).contains(missing), "{}", stderr(&broken));

    let second = output(&mut mesh_cnictl(&["demo", "--keep"]));
    assert_eq!(second.status.code(), Some(3));
    assert!(stderr(&second).contains("hint: remove it with `mesh-cnictl demo --cleanup`"));

    let cleaned = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(stdout(&cleaned), "demo removed, 6 processes killed\n");
    before.assert_restored();
    let again = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(
        (again.status.code(), stdout(&again).as_str()),
        (Some(0), "no demo is running\n")
    );
}

#[test]
fn the_cleanup_keeps_another_process_with_the_same_pid() {
    let _lock = exclusive();
    let before = Traces::now();
    let mut other = mesh_cnictl(&["demo-process", "pause", "--here"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let state = json!({"processes": [{"role": "app", "pid": other.id(), "started": 1}]});
    fs::create_dir_all("/run/mesh-cni").unwrap();
    fs::write(STATE_FILE, state.to_string()).unwrap();
    let cleaned = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(stdout(&cleaned), "no demo is running\n");
    assert!(other.try_wait().unwrap().is_none());
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    before.assert_restored();
}

#[test]
fn a_missing_program_is_named_with_the_remedy() {
    let ended = output(&mut mesh_cnictl(&[
        "demo",
        "--cni-bin-dir",
        "/no/such/directory",
    ]));
    assert_eq!(
        (ended.status.code(), stdout(&ended).as_str()),
        (Some(3), "")
    );
    let error = "error: `loopback` not found in /no/such/directory\nhint: `make demo` ";
    assert!(stderr(&ended).starts_with(error), "{}", stderr(&ended));
}

/// Runs a demo, sends the signal when the step starts, and waits for the end.
fn signalled_at(step: &str, signal: Signal) -> ExitStatus {
    let mut demo = mesh_cnictl(&["demo"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(step) {
        line.clear();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "no step `{step}`");
    }
    let pid = Pid::from_raw(demo.id().try_into().unwrap());
    // The process is not reaped yet, so its PID is not reused.
    let _sent = kill(pid, signal);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    demo.wait().unwrap()
}

fn nsenter(arguments: &str) -> String {
    let mut command = Command::new("nsenter");
    let ended = output(command.args(arguments.split(' ')));
    assert!(
        ended.status.success(),
        "nsenter {arguments}: {}",
        stderr(&ended)
    );
    stdout(&ended)
}
