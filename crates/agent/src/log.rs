//! The agent's log: lines on stdout, as text or JSON, including those that plugins reported.

use std::io;

use mesh_cni_agent_api::{LogLine, Report};
use mesh_cni_plan::LogLevel;
use mesh_cni_text::{escaped, escaped_json};
use tracing::{Level, debug, error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Writes each event to stdout on one line, with control and format characters escaped.
struct Stdout(LogFormat);

impl io::Write for Stdout {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.trim_end_matches('\n');
        let line = match self.0 {
            LogFormat::Text => escaped(line),
            LogFormat::Json => escaped_json(line),
        };
        writeln!(io::stdout().lock(), "{line}")?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Starts the log of this process. A second call has no effect.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    // The agent logs the errors that libraries return, so their own lines are for debugging only.
    let libraries = if level == Level::DEBUG {
        level.into()
    } else {
        LevelFilter::OFF
    };
    let targets = Targets::new()
        .with_target("mesh_cni", level)
        .with_target("plugin", level)
        .with_default(libraries);
    let lines = fmt::layer()
        .with_ansi(false)
        .with_writer(move || Stdout(format));
    let log = tracing_subscriber::registry();
    // It fails if a log was started before.
    drop(match format {
        LogFormat::Text => log.with(lines.with_filter(targets)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            log.with(lines.with_filter(targets)).try_init()
        }
    });
}

/// Logs a plugin's lines with its pod and container.
pub(crate) fn forward(report: &Report) {
    let Report {
        namespace,
        name: pod,
        container_id: container,
        ..
    } = report;
    for LogLine { level, message } in &report.lines {
        match level.as_str() {
            "error" => error!(target: "plugin", namespace, pod, container, "{message}"),
            "warn" => warn!(target: "plugin", namespace, pod, container, "{message}"),
            "debug" => debug!(target: "plugin", namespace, pod, container, "{message}"),
            _ => info!(target: "plugin", namespace, pod, container, "{message}"),
        }
    }
}
