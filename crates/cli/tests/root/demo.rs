//! The demo: what it shows, and that nothing of it is left, however it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::machine::{Traces, actors, alone, mesh_cnictl, output, stderr, stdout};

const NOTE: &str = "/run/mesh-cni/demo.json";

/// The beginnings of the lines that open the steps; the last is where everything is taken down.
const STEPS: [&str; 7] = ["1  ", "2  ", "3  ", "4  ", "5  ", "6  ", "7  "];
const LAST: &str = "8  ";

#[test]
fn everything_is_as_documented_and_nothing_is_left() {
    let _alone = alone();
    let before = Traces::now();
    let ended = output(&mut mesh_cnictl(&["demo"]));
    let said = stdout(&ended);
    assert!(ended.status.success(), "{said}{}", stderr(&ended));
    assert!(
        said.ends_with("\nEverything was as documented.\n"),
        "{said}"
    );
    assert!(!said.contains("\n no "), "{said}");
    assert!(said.contains(" -n iptables -L -t nat -n -v --line-numbers -x\n"));
    assert_eq!(stderr(&ended), "");
    before.assert_restored();
}

#[test]
fn programs_can_read_what_happened() {
    let _alone = alone();
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

/// A plugin that passes every result on, and does nothing else.
const IDLE_PLUGIN: &str = "#!/bin/sed -nf\ns/.*\"prevResult\":\\(.*\\)}$/\\1/p\n";

#[test]
fn a_plugin_that_programs_nothing_is_found_out() {
    let _alone = alone();
    let before = Traces::now();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("idle");
    fs::create_dir_all(&folder).unwrap();
    let (program, plugin) = (folder.join("mesh-cnictl"), folder.join("mesh-cni"));
    fs::copy(env!("CARGO_BIN_EXE_mesh-cnictl"), &program).unwrap();
    fs::write(&plugin, IDLE_PLUGIN).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();

    let ended = output(Command::new(&program).arg("demo"));
    let said = stdout(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}{}", stderr(&ended));
    for wrong in [
        "\n no productpage: no rule: its traffic is left alone\n",
        "\n no reviews asks productpage, which asks reviews\n",
        "\n no the proxy asks its own pod's address\n",
        "\n no what iptables prints is not the documented dump\n",
        "\n no what mesh-cnictl lists is not the documented dump\n",
    ] {
        assert!(said.contains(wrong), "{wrong}{said}");
    }
    assert!(said.contains("\nSomething was not as documented"), "{said}");
    before.assert_restored();
}

#[test]
fn an_interruption_at_any_step_leaves_nothing() {
    let _alone = alone();
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
fn a_demo_that_is_killed_leaves_nothing() {
    let _alone = alone();
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
fn a_kept_demo_can_be_played_with_until_it_is_cleaned_up() {
    let _alone = alone();
    let before = Traces::now();
    let kept = output(&mut mesh_cnictl(&["demo", "--keep"]));
    assert!(kept.status.success(), "{}", stderr(&kept));
    assert_eq!(
        actors().len(),
        6,
        "two sandboxes, two apps, the proxy, the node"
    );
    let mode = fs::metadata(NOTE).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let said = stdout(&kept);
    let commands: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("     nsenter "))
        .collect();
    assert_eq!(commands.len(), 4, "{said}");
    assert!(nsenter(commands[0]).contains("ISTIO_IN_REDIRECT"));
    let page = nsenter(commands[1]);
    assert!(
        page.contains(r#""who":"productpage""#) && page.contains("127.0.0.6"),
        "{page}"
    );
    assert!(nsenter(commands[2]).contains(r#""who":"reviews""#));
    assert!(nsenter(commands[3]).contains("mesh0"));

    let second = output(&mut mesh_cnictl(&["demo", "--keep"]));
    assert_eq!(second.status.code(), Some(3));
    assert!(stderr(&second).contains("hint: end it by `mesh-cnictl demo --cleanup`"));

    let cleaned = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(stdout(&cleaned), "the demo is gone: 6 processes ended\n");
    before.assert_restored();
    let again = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(
        (again.status.code(), stdout(&again).as_str()),
        (Some(0), "no demo was left running\n")
    );
}

#[test]
fn a_process_that_only_got_the_number_is_left_alone() {
    let _alone = alone();
    let before = Traces::now();
    let mut bystander = mesh_cnictl(&["demo-process", "pause", "--here"]);
    let mut bystander = bystander
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let note = json!({"processes": [{"role": "app", "pid": bystander.id(), "started": 1}]});
    fs::create_dir_all("/run/mesh-cni").unwrap();
    fs::write(NOTE, note.to_string()).unwrap();
    let cleaned = output(&mut mesh_cnictl(&["demo", "--cleanup"]));
    assert_eq!(stdout(&cleaned), "no demo was left running\n");
    assert!(bystander.try_wait().unwrap().is_none());
    drop(bystander.stdin.take());
    assert!(bystander.wait().unwrap().success());
    before.assert_restored();
}

#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let nowhere = output(&mut mesh_cnictl(&[
        "demo",
        "--cni-bin-dir",
        "/no/such/folder",
    ]));
    assert_eq!(
        (nowhere.status.code(), stdout(&nowhere).as_str()),
        (Some(3), "")
    );
    let said = stderr(&nowhere);
    assert!(
        said.starts_with("error: no `loopback` in /no/such/folder\nhint: `make demo` "),
        "{said}"
    );
}

/// Runs a demo, sends the signal when the step opens, and waits for the end.
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
    // Until it is waited for, its number is nobody else's.
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
