//! The plugin's log: a file of limited size in the run directory, and stderr. Never stdout.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mesh_cni_plan::{LogLevel, MeshConf};

/// How large the file may get; then it becomes `plugin.log.1` and a new one begins.
const SIZE_LIMIT: u64 = 1024 * 1024;

/// Writes lines about one call.
pub(crate) struct Journal {
    level: LogLevel,
    subject: String,
    file: Option<File>,
    echo: Echo,
    /// What was said, for the report to the agent: level and message.
    said: RefCell<Vec<(&'static str, String)>>,
}

/// Where lines go besides the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Stderr,
    Nowhere,
}

impl Journal {
    /// Opens the log. A log that cannot be written is no reason to keep a pod from starting: stderr
    /// says so, and gets every line anyway.
    pub(crate) fn open(conf: &MeshConf, command: &str, subject: &str, echo: Echo) -> Self {
        let path = conf.cni_agent_run_dir.join("plugin.log");
        let (file, problem) = match open(&path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        let journal = Self {
            level: conf.plugin_log_level,
            subject: format!("{command} {subject}"),
            file,
            echo,
            said: RefCell::default(),
        };
        if let Some(problem) = problem {
            journal.warn(&format!("no log file `{}`: {problem}", path.display()));
        }
        journal
    }

    pub(crate) fn error(&self, message: &str) {
        self.write(LogLevel::Error, ["error", "ERROR"], message);
    }

    pub(crate) fn warn(&self, message: &str) {
        self.write(LogLevel::Warn, ["warn", "WARN"], message);
    }

    pub(crate) fn info(&self, message: &str) {
        self.write(LogLevel::Info, ["info", "INFO"], message);
    }

    /// What was said so far.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        self.said.borrow().clone()
    }

    /// One write for one line, so that lines of calls at the same time do not mix. Where nothing
    /// can be written there is nobody left to tell.
    fn write(&self, level: LogLevel, [word, name]: [&'static str; 2], message: &str) {
        if level > self.level {
            return;
        }
        self.said.borrow_mut().push((word, message.to_owned()));
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let line = format!("{time} {name} {}: {message}", self.subject);
        let line = line.replace(['\n', '\r'], " ") + "\n";
        if self.echo == Echo::Stderr {
            drop(io::stderr().write_all(line.as_bytes()));
        }
        if let Some(mut file) = self.file.as_ref() {
            drop(file.write_all(line.as_bytes()));
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = match append_to(path) {
        // Only the first call of a node finds no directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory_of(path)?;
            append_to(path)?
        }
        opened => opened?,
    };
    if file.metadata()?.len() < SIZE_LIMIT {
        return Ok(file);
    }
    // Calls at the same time may both rename: then a little of the older log is lost, no line of
    // the newer one.
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    fs::rename(path, PathBuf::from(older))?;
    append_to(path)
}

fn make_directory_of(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}
