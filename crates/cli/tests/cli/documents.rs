//! Help, completions, manual.

use crate::support::{assert_snapshot, run};

#[test]
fn help_of_the_program() {
    assert_snapshot!(
        "help",
        "the commands in the order of use, the exit codes, one example",
        run(&["--help"])
    );
}

#[test]
fn help_of_init() {
    assert_snapshot!(
        "help-init",
        "the short names, long names, environment variables and defaults of Istio's command",
        run(&["init", "-h"])
    );
}

#[test]
fn every_command_has_an_example() {
    for command in ["select", "render", "init", "demo", "completions", "man"] {
        let help = run(&[command, "--help"]).result();
        let examples = help.matches("Example: ").count();
        assert_eq!(examples, 1, "{command}: {help}");
    }
}

#[test]
fn a_missing_command_is_wrong_use() {
    let ended = run(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: mesh-cnictl"));
}

#[test]
fn the_version_is_the_crates() {
    let version = run(&["--version"]).result();
    assert_eq!(
        version,
        concat!("mesh-cnictl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_contain_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).result();
        assert!(
            script.contains("select") && script.contains("mesh-cnictl"),
            "{shell}"
        );
        assert!(
            !script.contains("demo-process"),
            "{shell} completes a hidden command"
        );
    }
}

#[test]
fn the_manual_contains_the_commands() {
    let manual = run(&["man"]).result();
    for command in ["select", "render", "init", "demo"] {
        assert!(
            manual.contains(&format!("mesh\\-cnictl\\-{command}")),
            "{command}"
        );
    }
    assert!(!manual.contains("demo\\-process"));
}
