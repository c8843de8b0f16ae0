//! What the plugin reports of a call: how it ended, how long it took, and its lines of log.

use serde::Deserialize;
use thiserror::Error;

/// The largest report that is read, in bytes.
pub const MAX_REPORT_BYTES: usize = 64 * 1024;

/// A report, as `POST /v1/reports` takes it. Fields that it does not know are passed over, and all
/// but `decision` may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// The pod's namespace; empty where the call was for none.
    #[serde(default)]
    pub namespace: String,
    /// The pod's name.
    #[serde(default)]
    pub name: String,
    /// The sandbox.
    #[serde(default)]
    pub container_id: String,
    /// How the call ended.
    pub decision: Decision,
    /// Why: the code of a skip, such as `no-istio-proxy`, or the CNI error code of a failure.
    #[serde(default)]
    pub reason: String,
    /// How long it took, in microseconds, from the plugin's first instruction to its answer.
    #[serde(default)]
    pub duration_us: u64,
    /// The back end that the rules were programmed by.
    #[serde(default)]
    pub backend: String,
    /// The call's lines of log, in their order.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// How an ADD ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The pod's traffic is redirected.
    Redirect,
    /// The pod is left alone.
    Skip,
    /// The attachment belongs to no Kubernetes pod.
    NoPod,
    /// An error was answered.
    Error,
}

/// One line of the plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// What it says.
    pub message: String,
}

/// A report that cannot be read.
#[derive(Debug, Error)]
#[error("the report cannot be read")]
pub struct ReportError(#[from] serde_json::Error);

impl Report {
    /// Reads a report.
    pub fn parse(text: &[u8]) -> Result<Self, ReportError> {
        let mut report: Self = serde_json::from_slice(text)?;
        // It becomes a label of a metric, so nothing but a short word may stand in it.
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if report.reason.len() > 40 || !report.reason.bytes().all(word) {
            "other".clone_into(&mut report.reason);
        }
        Ok(report)
    }
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 4] = [Self::Redirect, Self::Skip, Self::NoPod, Self::Error];

    /// Its name, as in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Skip => "skip",
            Self::NoPod => "no_pod",
            Self::Error => "error",
        }
    }
}
