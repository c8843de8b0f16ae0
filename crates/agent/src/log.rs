//! The agent's log: lines on stdout, for people or as JSON, with those that plugins reported.

use std::io;

use tracing::{Level, debug, error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::report::{Line, Report};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is said.
pub type LogLevel = mesh_cni_plan::LogLevel;

/// Starts the log of this process. A second start changes nothing.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    // What libraries say is for those who debug; their errors come back to us and are told once.
    let others = if level == Level::DEBUG {
        level.into()
    } else {
        LevelFilter::OFF
    };
    let ours = Targets::new()
        .with_target("mesh_cni", level)
        .with_target("plugin", level)
        .with_default(others);
    let lines = fmt::layer().with_ansi(false).with_writer(io::stdout);
    let log = tracing_subscriber::registry();
    // An error says that a log was started before.
    drop(match format {
        LogFormat::Text => log.with(lines.with_filter(ours)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            log.with(lines.with_filter(ours)).try_init()
        }
    });
}

/// Writes a plugin's lines as they came, with what they were about.
pub(crate) fn forward(report: &Report) {
    let Report {
        namespace,
        name: pod,
        container_id: container,
        ..
    } = report;
    for Line { level, message } in &report.lines {
        let message = on_one_line(message);
        match level.as_str() {
            "error" => error!(target: "plugin", namespace, pod, container, "{message}"),
            "warn" => warn!(target: "plugin", namespace, pod, container, "{message}"),
            "debug" => debug!(target: "plugin", namespace, pod, container, "{message}"),
            _ => info!(target: "plugin", namespace, pod, container, "{message}"),
        }
    }
}

/// What a plugin says stays one line of ours.
fn on_one_line(text: &str) -> String {
    let blank = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().map(blank).collect()
}
