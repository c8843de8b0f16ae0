//! Running a host's program: input given at once, output captured, an end set.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use thiserror::Error;

/// How much a program may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimits {
    /// How long it may run.
    pub time: Duration,
    /// How many bytes it may print, standard output and standard error each.
    pub output: u64,
}

/// A program that could not be run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be started or watched.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long and was killed.
    #[error("`{}` did not end within {seconds} seconds and was killed", program.display())]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// It printed too much and was killed.
    #[error("`{}` printed more than {bytes} bytes and was killed", program.display())]
    TooMuchOutput {
        /// The program.
        program: PathBuf,
        /// The limit.
        bytes: u64,
    },
}

/// What a program that ran to its end left.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

enum Stop {
    Failed(io::Error),
    Late,
    Verbose,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            output: 16 * 1024 * 1024,
        }
    }
}

/// Runs the program with that standard input.
///
/// The input stands in a file of its own before the program starts, so neither waits for the
/// other.
pub(crate) fn run(
    mut command: Command,
    input: &str,
    limits: RunLimits,
) -> Result<Finished, ProgramError> {
    let program = PathBuf::from(command.get_program());
    let stop = |stop| match stop {
        Stop::Failed(source) => ProgramError::Run {
            program: program.clone(),
            source,
        },
        Stop::Late => ProgramError::TimedOut {
            program: program.clone(),
            seconds: limits.time.as_secs(),
        },
        Stop::Verbose => ProgramError::TooMuchOutput {
            program: program.clone(),
            bytes: limits.output,
        },
    };
    let stdin = file_with(input).map_err(|source| stop(Stop::Failed(source)))?;
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| stop(Stop::Failed(source)))?;
    watch(&mut child, limits).map_err(|why| {
        end(&mut child);
        stop(why)
    })
}

fn file_with(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn watch(child: &mut Child, limits: RunLimits) -> Result<Finished, Stop> {
    let end = Instant::now() + limits.time;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while out.is_some() || err.is_some() {
        let (out_ready, err_ready) = wait(out.as_ref(), err.as_ref(), end)?;
        if out_ready {
            drain(&mut out, &mut stdout, limits.output)?;
        }
        if err_ready {
            drain(&mut err, &mut stderr, limits.output)?;
        }
    }
    // Both streams are closed, so the program has ended or is about to.
    let status = child.wait().map_err(Stop::Failed)?;
    Ok(Finished {
        status,
        stdout,
        stderr,
    })
}

/// Which of the two can be read, once one of them can.
fn wait(
    out: Option<&impl AsFd>,
    err: Option<&impl AsFd>,
    end: Instant,
) -> Result<(bool, bool), Stop> {
    let left = end.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut streams = Vec::with_capacity(2);
    streams.extend(out.map(|out| PollFd::new(out.as_fd(), PollFlags::POLLIN)));
    streams.extend(err.map(|err| PollFd::new(err.as_fd(), PollFlags::POLLIN)));
    match poll(&mut streams, timeout) {
        Ok(0) => Err(Stop::Late),
        Ok(_) => {
            let mut ready = streams.iter().map(|stream| stream.any().unwrap_or(true));
            let out_ready = out.is_some() && ready.next().unwrap_or(false);
            let err_ready = err.is_some() && ready.next().unwrap_or(false);
            Ok((out_ready, err_ready))
        }
        Err(nix::errno::Errno::EINTR) => Ok((false, false)),
        Err(errno) => Err(Stop::Failed(errno.into())),
    }
}

/// Reads what is there; a stream at its end becomes `None`.
fn drain(stream: &mut Option<impl Read>, into: &mut Vec<u8>, limit: u64) -> Result<(), Stop> {
    let Some(open) = stream else { return Ok(()) };
    let mut buffer = [0; 16 * 1024];
    let count = open.read(&mut buffer).map_err(Stop::Failed)?;
    if count == 0 {
        *stream = None;
    }
    into.extend_from_slice(&buffer[..count]);
    if into.len() as u64 > limit {
        return Err(Stop::Verbose);
    }
    Ok(())
}

/// Kills a program that is of no more use; it may have ended by itself meanwhile.
fn end(child: &mut Child) {
    if child.kill().is_ok() {
        let _status = child.wait();
    }
}
