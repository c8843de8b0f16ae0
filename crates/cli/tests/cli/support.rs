//! Runs the program, and compares its output with snapshots.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::process::{Command, Stdio};

pub(crate) const PRODUCTPAGE: &str = "../../examples/bookinfo/productpage.yaml";
pub(crate) const REVIEWS: &str = "../../examples/bookinfo/reviews.yaml";

/// The result of a run.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command, in the crate's directory and with an empty environment.
pub(crate) struct Run(Command);

pub(crate) fn run(arguments: &[&str]) -> Ended {
    Run::new(arguments).with_input("")
}

impl Run {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-cnictl"));
        command
            .args(arguments)
            .env_clear()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn with_input(mut self, input: &str) -> Ended {
        let mut child = self.0.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that refuses its arguments does not read its input.
        let _written = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// The stdout of a run that must succeed.
    pub(crate) fn result(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.expect("it was not killed by a signal");
        write!(f, "exit {code}\n--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}

/// Runs each command line with its input; returns the exit codes and stderr.
pub(crate) fn refusals(cases: &[(&[&str], &str)]) -> String {
    let mut text = String::new();
    for (arguments, input) in cases {
        let ended = Run::new(arguments).with_input(input);
        assert_eq!(ended.stdout, "", "{arguments:?} has a result");
        let code = ended.code.unwrap();
        let shown = arguments.join(" ");
        writeln!(text, "$ mesh-cnictl {shown}\nexit {code}\n{}", ended.stderr).unwrap();
    }
    text
}

/// Compares with `tests/snapshots/NAME.snap`; the description is for the reviewer.
macro_rules! assert_snapshot {
    ($name:literal, $description:literal, $value:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => $description,
        }, { insta::assert_snapshot!($name, $value) })
    };
}
pub(crate) use assert_snapshot;
