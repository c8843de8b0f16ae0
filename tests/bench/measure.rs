//! One run of a program: wall-clock time, CPU time and peak memory, children included.

use std::env;
use std::ffi::OsString;
use std::io::{Seek, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Set in the child process that runs and measures one program.
const MEASURED: &str = "MESH_CNI_BENCH_MEASURED";

/// The measurements of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The largest process of the run, in KiB.
    pub(crate) memory: u64,
}

/// Runs the command once.
///
/// A child process runs it, because the kernel adds up CPU time and memory of all children of a
/// process.
pub(crate) fn measure(command: &Command, input: &str) -> Sample {
    let mut file = tempfile::tempfile().expect("a temporary file can be created");
    file.write_all(input.as_bytes())
        .expect("a temporary file can be written");
    file.rewind().expect("a temporary file can be rewound");
    let own = env::current_exe().expect("a running program has a path");
    let mut child = Command::new(own);
    child
        .arg(command.get_program())
        .args(command.get_args())
        .env(MEASURED, "1");
    for (name, value) in command.get_envs() {
        child.env(name, value.map(OsString::from).unwrap_or_default());
    }
    let output = child
        .stdin(Stdio::from(file))
        .output()
        .expect("the benchmark can run itself");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {stderr}");
    let said = String::from_utf8_lossy(&output.stdout);
    parse(&said).unwrap_or_else(|| panic!("{command:?} was not measured: {said}"))
}

/// In the child: runs the program in the arguments and prints its measurements.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn as_measured_child() -> Option<ExitCode> {
    env::var_os(MEASURED)?;
    let mut arguments = env::args_os().skip(1);
    let mut command = Command::new(arguments.next()?);
    command
        .args(arguments)
        .env_remove(MEASURED)
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().ok()?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu} {}", wall.as_micros(), usage.max_rss());
    Some(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
