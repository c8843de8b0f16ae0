//! The completion scripts, in real shells.

use std::fs;
use std::path::Path;
use std::process::Command;

use mesh_cni_tests::{finish, mesh_cni_agent, mesh_cnictl};

/// Prints what bash offers for the last word of `$2`, one candidate a line.
const BASH: &str = r#"
source "$1"
read -ra COMP_WORDS <<<"$2"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p "${COMP_WORDS[0]}") =~ -F\ ([^ ]+) ]] || exit
"${BASH_REMATCH[1]}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Prints what fish offers.
const FISH: &str =
    "source $argv[1]; complete --do-complete $argv[2] | string replace --regex '\\t.*' ''";

/// Types `$2` and a tab, and prints the last word of the line that zsh makes of it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "source $3 $1"
zpty -r shell output '*READY*'
zpty -w -n shell "$2"$'\t\x18'
zpty -r shell output '*<<*>>*'
# A flag with a value gets a `=`.
print -r -- "${${${${output##*<<}%%>>*}##* }%=}"
"#;

/// The settings of the shell in which the line is typed. It ends at ^X.
const ZSH_INIT: &str = r#"
autoload -U compinit; compinit -u -D
source "$1"
dump() { print -r -- "<<${BUFFER% }>>"; exit }
zle -N dump
bindkey '^X' dump
bindkey '^I' complete-word
zle-line-init() { print READY }
zle -N zle-line-init
"#;

/// Lines, and the only word that completes the last word of each.
const CTL: &[(&str, &str)] = &[
    ("mesh-cnictl expl", "explain"),
    ("mesh-cnictl verify --proc", "--proc-dir"),
    ("mesh-cnictl render --pod pod.yaml --format re", "restore"),
    ("mesh-cnictl explain --pod pod.yaml --mat", "--matched"),
    ("mesh-cnictl status --output js", "json"),
    ("mesh-cnictl completions po", "powershell"),
];
const AGENT: &[(&str, &str)] = &[
    ("mesh-cni-agent uni", "uninstall"),
    (
        "mesh-cni-agent run --repair-ini",
        "--repair-init-container-name",
    ),
    ("mesh-cni-agent status --output j", "json"),
    ("mesh-cni-agent man --d", "--dir"),
    ("mesh-cni-agent completions el", "elvish"),
];

fn each(complete: impl Fn(&Path, &str) -> String, shell: &str) {
    for (program, lines) in [(mesh_cnictl(), CTL), (mesh_cni_agent(), AGENT)] {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("completions");
        let printed = finish(Command::new(program).args(["completions", shell]), "");
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        fs::write(&script, printed.stdout).unwrap();
        for (line, word) in lines {
            assert_eq!(
                complete(&script, line).trim_end(),
                *word,
                "{shell}: `{line}`"
            );
        }
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    each(
        |script, line| {
            let mut bash = Command::new("bash");
            bash.args(["--norc", "-c", BASH, "bash"])
                .arg(script)
                .arg(line);
            finish(&mut bash, "").stdout
        },
        "bash",
    );
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    fs::write(&init, ZSH_INIT).unwrap();
    each(
        |script, line| {
            let mut zsh = Command::new("timeout");
            zsh.args(["30", "zsh", "-f", "-c", ZSH, "zsh"])
                .arg(script)
                .arg(line)
                .arg(&init);
            finish(&mut zsh, "").stdout
        },
        "zsh",
    );
}

#[test]
fn fish_completes_commands_flags_and_values() {
    let home = tempfile::tempdir().unwrap();
    each(
        |script, line| {
            let mut fish = Command::new("fish");
            fish.env("HOME", home.path());
            fish.args(["--no-config", "--command", FISH])
                .arg(script)
                .arg(line);
            finish(&mut fish, "").stdout
        },
        "fish",
    );
}
