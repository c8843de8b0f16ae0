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
    for command in [
        "select",
        "render",
        "init",
        "demo",
        "version",
        "completions",
        "man",
    ] {
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
fn the_versions_are_those_of_the_program_and_its_interfaces() {
    let version = env!("CARGO_PKG_VERSION");
    let text = run(&["version"]).result();
    let line = format!("mesh-cnictl {version}\n");
    assert!(text.starts_with(&line), "{text}");
    let json = run(&["version", "--output", "json"]).result();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], version);
    assert_eq!(json["cni_versions"][0], "0.1.0");
    assert_eq!(json["protocol_version"], 1);
}

#[test]
fn as_a_plugin_of_kubectl_usage_and_examples_name_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-mesh_cni");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mesh-cnictl"), &plugin).unwrap();
    for (arguments, texts) in [
        (
            &["--help"][..],
            [
                "Usage: kubectl mesh-cni",
                "Example: kubectl mesh-cni render",
            ],
        ),
        (
            &["render", "--help"],
            [
                "Usage: kubectl mesh-cni render",
                "Example: kubectl mesh-cni render",
            ],
        ),
        (
            &["verify"],
            ["Usage: kubectl mesh-cni verify", "required arguments"],
        ),
    ] {
        let ran = std::process::Command::new(&plugin)
            .args(arguments)
            .output()
            .unwrap();
        let printed = [ran.stdout, ran.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        for text in texts {
            assert!(printed.contains(text), "{text}: {printed}");
        }
    }
}

#[test]
fn every_shell_has_a_completion_script_without_hidden_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).result();
        assert!(script.contains("select"), "{shell}");
        assert!(!script.contains("demo-process"), "{shell}");
    }
}
