//! Runs a program of the host: passes its input, captures its output, and enforces limits.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;

/// How often a running program is checked for an interruption.
const TICK: Duration = Duration::from_millis(50);

/// The limits of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimits {
    /// How long it may run.
    pub time: Duration,
    /// How many bytes it may print to standard output, and how many to standard error.
    pub output: u64,
}

/// Why a program did not run to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The system refused to start it or to wait for it.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The cause.
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
    /// The caller interrupted it, and it was killed.
    #[error("`{}` was interrupted and killed", program.display())]
    Interrupted {
        /// The program.
        program: PathBuf,
    },
}

/// A program that has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// The standard input of a program.
#[derive(Clone, Copy, Debug)]
pub enum Stdin<'text> {
    /// This text.
    Text(&'text str),
    /// A pipe without data that stays open until the program has ended.
    Open,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            output: 16 * 1024 * 1024,
        }
    }
}

/// Runs the program to its end, in a process group of its own. If a limit is exceeded or
/// `interrupted` returns true, the whole group is killed.
pub fn run(
    mut command: Command,
    stdin: Stdin<'_>,
    limits: RunLimits,
    interrupted: impl Fn() -> bool,
) -> Result<Finished, ProgramError> {
    let program = PathBuf::from(command.get_program());
    let mut child = start(&mut command, stdin).map_err(|source| ProgramError::Run {
        program: program.clone(),
        source,
    })?;
    wait(&mut child, program, limits, interrupted).inspect_err(|_| kill(&mut child))
}

/// The input is in a file before the program starts, so neither process waits for the other.
fn start(command: &mut Command, stdin: Stdin<'_>) -> io::Result<Child> {
    let stdin = match stdin {
        Stdin::Open => Stdio::piped(),
        Stdin::Text(text) => {
            let mut file = File::from(memfd_create("stdin", MFdFlags::MFD_CLOEXEC)?);
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            file.into()
        }
    };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn wait(
    child: &mut Child,
    program: PathBuf,
    limits: RunLimits,
    interrupted: impl Fn() -> bool,
) -> Result<Finished, ProgramError> {
    let deadline = Instant::now() + limits.time;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(OwnedFd::from);
    let stderr = child.stderr.take().map(OwnedFd::from);
    let mut streams = [stdout, stderr].map(|stream| stream.map(File::from));
    let mut outputs = [Vec::new(), Vec::new()];
    while streams.iter().any(Option::is_some) {
        if interrupted() {
            return Err(ProgramError::Interrupted { program });
        }
        if Instant::now() >= deadline {
            let seconds = limits.time.as_secs();
            return Err(ProgramError::TimedOut { program, seconds });
        }
        if let Err(source) = read_available(&mut streams, &mut outputs, deadline) {
            return Err(ProgramError::Run { program, source });
        }
        if outputs
            .iter()
            .any(|output| output.len() as u64 > limits.output)
        {
            let bytes = limits.output;
            return Err(ProgramError::TooMuchOutput { program, bytes });
        }
    }
    // Both streams are closed, so the program has ended or is about to end.
    let status = child
        .wait()
        .map_err(|source| ProgramError::Run { program, source })?;
    drop(stdin);
    let [stdout, stderr] = outputs;
    Ok(Finished {
        status,
        stdout,
        stderr,
    })
}

/// Waits for output, one [`TICK`] at most, and reads some. A stream at its end becomes `None`.
fn read_available(
    streams: &mut [Option<File>; 2],
    outputs: &mut [Vec<u8>; 2],
    deadline: Instant,
) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left.min(TICK)).unwrap_or(PollTimeout::MAX);
    let open = streams.iter().flatten();
    let mut polled: Vec<_> = open
        .map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut polled, timeout) {
        Err(Errno::EINTR) => return Ok(()),
        outcome => outcome?,
    };
    let ready: Vec<_> = polled.iter().map(|it| it.any().unwrap_or(true)).collect();
    let open = streams
        .iter_mut()
        .zip(outputs)
        .filter(|(it, _)| it.is_some());
    for ((stream, output), _) in open.zip(ready).filter(|(_, ready)| *ready) {
        let mut buffer = [0; 16 * 1024];
        let count = stream.as_mut().map_or(Ok(0), |it| it.read(&mut buffer))?;
        output.extend_from_slice(&buffer[..count]);
        if count == 0 {
            *stream = None;
        }
    }
    Ok(())
}

fn kill(child: &mut Child) {
    // Killing fails only if the group has ended already.
    if let Ok(group) = i32::try_from(child.id()) {
        let _killed = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _status = child.wait();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn run_shell(script: &str, stdin: Stdin<'_>) -> Result<Finished, ProgramError> {
        run(shell(script), stdin, RunLimits::default(), || false)
    }

    #[test]
    fn input_and_both_outputs_are_passed() {
        let finished = run_shell("cat; echo error >&2; exit 3", Stdin::Text("input")).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.stdout, b"input");
        assert_eq!(finished.stderr, b"error\n");
    }

    #[test]
    fn an_open_input_does_not_end() {
        let script = "if read -r line < /dev/stdin; then echo read; fi & sleep 0.1; kill $!";
        let finished = run_shell(script, Stdin::Open).unwrap();
        assert_eq!(finished.stdout, b"");
    }

    #[test]
    fn an_interruption_kills_the_whole_process_group() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let script = format!("sleep 600 > {} & wait", fifo.display());
        let is_running = AtomicBool::new(false);
        let start = Instant::now();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut fifo = File::open(&fifo).unwrap();
                is_running.store(true, Ordering::SeqCst);
                // Ends when the background process does.
                fifo.read_to_end(&mut Vec::new()).unwrap();
            });
            let interrupted = || is_running.load(Ordering::SeqCst);
            let limits = RunLimits::default();
            let result = run(shell(&script), Stdin::Open, limits, interrupted);
            assert!(matches!(result, Err(ProgramError::Interrupted { .. })));
            reader.join().unwrap();
        });
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn limits_are_enforced() {
        let limits = RunLimits {
            time: Duration::from_millis(100),
            output: 1024,
        };
        let run = |script| run(shell(script), Stdin::Text(""), limits, || false);
        let slow = run("sleep 600").unwrap_err();
        assert!(matches!(slow, ProgramError::TimedOut { .. }), "{slow}");
        let verbose = run("cat /dev/zero").unwrap_err();
        let is_too_much = matches!(verbose, ProgramError::TooMuchOutput { bytes: 1024, .. });
        assert!(is_too_much, "{verbose}");
    }
}
