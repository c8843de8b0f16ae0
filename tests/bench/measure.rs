//! One run of a program: wall-clock time, CPU time and peak memory.

use std::io::{Seek, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::c_program::CProgram;

/// The measurements of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The largest process of the run, in KiB.
    pub(crate) memory: u64,
}

/// The program that runs and measures others.
pub(crate) struct Meter {
    program: CProgram,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let program = CProgram::compile("measured", &[]);
        Self { program }
    }

    /// Runs the command once.
    pub(crate) fn measure(&self, command: &Command, input: &str) -> Sample {
        let mut file = tempfile::tempfile().expect("a temporary file can be created");
        file.write_all(input.as_bytes())
            .expect("a temporary file can be written");
        file.rewind().expect("a temporary file can be rewound");
        let envs = command.get_envs();
        let output = Command::new(self.program.path())
            .arg(command.get_program())
            .args(command.get_args())
            .envs(envs.filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::from(file))
            .output()
            .expect("the program was compiled");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed: {stderr}");
        let said = String::from_utf8_lossy(&output.stdout);
        parse(&said).unwrap_or_else(|| panic!("{command:?} was not measured: {said}"))
    }
}

fn parse(said: &str) -> Option<Sample> {
    let mut numbers = said.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    Some(Sample {
        wall: Duration::from_micros(next()?),
        cpu: Duration::from_micros(next()?),
        memory: next()?,
    })
}
