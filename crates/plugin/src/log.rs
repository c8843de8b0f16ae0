//! The plugin's log: a file of limited size in the run directory, and stderr. Never stdout.

use std::cell::{Ref, RefCell};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mesh_cni_plan::{LogLevel, MeshConf};
use mesh_cni_text::escaped;

/// The size at which the file is renamed to `plugin.log.1`, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Logs about one call.
pub(crate) struct PluginLog {
    level: LogLevel,
    subject: String,
    file: Option<File>,
    stderr: StderrLog,
    /// The lines so far, for the report to the agent: level and message.
    lines: RefCell<Vec<(&'static str, String)>>,
}

/// Whether the log also goes to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StderrLog {
    On,
    Off,
}

impl PluginLog {
    /// Opens the log file. If that fails, the call goes on, with a warning on stderr.
    pub(crate) fn open(conf: &MeshConf, subject: String, stderr: StderrLog) -> Self {
        let path = conf.cni_agent_run_dir.join("plugin.log");
        let (file, error) = match open(&path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        let log = Self {
            level: conf.plugin_log_level,
            subject,
            file,
            stderr,
            lines: RefCell::default(),
        };
        if let Some(error) = error {
            log.warn(&format!("no log file `{}`: {error}", path.display()));
        }
        log
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

    /// Level and message of every line so far.
    pub(crate) fn lines(&self) -> Ref<'_, Vec<(&'static str, String)>> {
        self.lines.borrow()
    }

    /// Writes a line with one system call, so that lines of concurrent calls do not mix. There is no
    /// place to report a failure.
    fn write(&self, level: LogLevel, [name, label]: [&'static str; 2], message: &str) {
        if level > self.level {
            return;
        }
        self.lines.borrow_mut().push((name, message.to_owned()));
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let line = format!("{time} {label} {}: {message}", self.subject);
        let line = escaped(&line.replace(['\n', '\r'], " ")).into_owned() + "\n";
        if self.stderr == StderrLog::On {
            drop(io::stderr().write_all(line.as_bytes()));
        }
        if let Some(mut file) = self.file.as_ref() {
            drop(file.write_all(line.as_bytes()));
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = match append_to(path) {
        // The directory exists after the first call on a node.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = path.parent() {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o700).create(directory)?;
            }
            append_to(path)?
        }
        result => result?,
    };
    if file.metadata()?.len() < MAX_BYTES {
        return Ok(file);
    }
    // If two calls rename at the same time, some lines of the older file are lost, none of the newer.
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    fs::rename(path, PathBuf::from(older))?;
    append_to(path)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}
