//! Runs programs in a namespace and waits for them.

use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mesh_cni_netns::NetNs;

/// The result of a program.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 if a signal killed it.
    pub code: i32,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// Runs a command in a namespace with an input.
pub fn run(netns: &NetNs, command: &mut Command, input: &str) -> Finished {
    let finished = netns.run(|| finish(command, input));
    finished.expect("the namespace can be entered")
}

/// Runs a command in the namespaces of the test with an input.
pub fn finish(command: &mut Command, input: &str) -> Finished {
    let mut file = tempfile::tempfile().expect("a temporary file can be created");
    file.write_all(input.as_bytes())
        .expect("a temporary file can be written");
    file.rewind().expect("a temporary file can be rewound");
    let output = command.stdin(Stdio::from(file)).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}: run `make test`"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Runs a program that must succeed, and returns its output. Spaces separate the arguments.
pub fn must(netns: &NetNs, words: &str) -> String {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().expect("the command is not empty"));
    let finished = run(netns, command.args(words), "");
    assert_eq!(finished.code, 0, "{command:?}: {}", finished.stderr);
    finished.stdout
}

/// Copies a program that is run afterwards. Another process copies it: a child of another test would
/// inherit the file that this one writes, and the kernel runs no program that is open for writing
/// (`ETXTBSY`).
pub fn copy_program(from: &Path, to: &Path) {
    let copied = finish(Command::new("cp").args([from, to]), "");
    assert_eq!(copied.code, 0, "{}", copied.stderr);
}

/// Writes a script that every user can run. Another process writes it, as in [`copy_program`].
pub fn write_script(path: &Path, text: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path);
    let written = finish(&mut install, text);
    assert_eq!(written.code, 0, "{}", written.stderr);
}
