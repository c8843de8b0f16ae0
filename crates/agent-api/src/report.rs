//! The report that the plugin sends to the agent after an ADD.

use mesh_cni_selector::SkipReason;
use mesh_cni_text::truncated;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::path;

/// The largest report that the agent reads, in bytes.
pub const MAX_REPORT_BYTES: usize = 64 * 1024;

/// The most warnings in a report.
pub const MAX_WARNINGS: usize = 8;

/// The longest reason that the agent uses as a metric label, in bytes.
const MAX_REASON_BYTES: usize = 40;

/// The reason that replaces those of later versions.
const OTHER_REASON: &str = "other";

/// Reasons of skips apart from those of [`SkipReason`].
const OWN_POD: &str = "own-pod";

/// CNI error codes of an ADD.
const ERROR_CODES: [&str; 11] = [
    "4", "5", "6", "7", "11", "100", "101", "103", "104", "105", "999",
];

/// The longest message of a warning, in bytes: what fits into an Event beside the code.
const MAX_WARNING_BYTES: usize = 900;

/// The result of one ADD, the body of `POST /v1/reports`.
///
/// Only `decision` is required; unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The pod's namespace; empty if the attachment belongs to no pod.
    #[serde(default)]
    pub namespace: String,
    /// The pod's name.
    #[serde(default)]
    pub name: String,
    /// The pod's UID, if the runtime passed it.
    #[serde(default)]
    pub uid: Option<String>,
    /// The container ID of the sandbox.
    #[serde(default)]
    pub container_id: String,
    /// How the ADD ended.
    pub decision: AddOutcome,
    /// The kind of sidecar of a redirected pod, the code of a skip such as `no-istio-proxy`, or the
    /// CNI error code of a failure.
    #[serde(default)]
    pub reason: String,
    /// The duration of the ADD in microseconds.
    #[serde(default)]
    pub duration_us: u64,
    /// The back end that programmed the rules; empty if no rules were programmed.
    #[serde(default)]
    pub backend: String,
    /// What the ADD wrote to the plugin's log.
    #[serde(default)]
    pub lines: Vec<LogLine>,
    /// What is unusual about a redirected pod, at most [`MAX_WARNINGS`].
    #[serde(default)]
    pub warnings: Vec<ReportedWarning>,
}

/// How an ADD ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddOutcome {
    /// The pod's traffic is redirected to its sidecar.
    Redirect,
    /// The pod's traffic is redirected to ztunnel, which serves it.
    Enrol,
    /// The pod needs no redirection.
    Skip,
    /// The attachment belongs to no Kubernetes pod.
    NoPod,
    /// The ADD failed.
    Error,
}

/// One line of the plugin's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// The message.
    pub message: String,
}

/// A problem with a pod that is redirected nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedWarning {
    /// The kind of problem, for example `unknown-value`.
    pub code: String,
    /// One line for people, of at most 900 bytes.
    pub message: String,
}

/// A report that cannot be parsed.
#[derive(Debug, Error)]
#[error("cannot parse the report")]
pub struct ReportError(#[from] serde_json::Error);

impl Report {
    /// Reads a report.
    ///
    /// The reason becomes a metric label. If it is not a short code, it is replaced by `other`. Of
    /// the warnings, only the first ones are kept.
    pub fn from_json(json: &[u8]) -> Result<Self, ReportError> {
        let mut report: Self = serde_json::from_slice(json)?;
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if report.reason.len() > MAX_REASON_BYTES || !report.reason.bytes().all(is_code) {
            OTHER_REASON.clone_into(&mut report.reason);
        }
        report.warnings.truncate(MAX_WARNINGS);
        for warning in &mut report.warnings {
            *warning = ReportedWarning::new(&warning.code, &warning.message);
        }
        Ok(report)
    }

    /// The HTTP request that sends the report, head and body, for a single write.
    pub fn to_request(&self) -> Vec<u8> {
        let body = serde_json::to_string(self).expect("strings and integers have a JSON form");
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            path::REPORTS,
            body.len()
        );
        (head + &body).into_bytes()
    }
}

impl ReportedWarning {
    /// A warning whose message is cut if it is too long.
    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: truncated(message, MAX_WARNING_BYTES).to_owned(),
        }
    }
}

impl AddOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [
        Self::Redirect,
        Self::Enrol,
        Self::Skip,
        Self::NoPod,
        Self::Error,
    ];

    /// Its name in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Enrol => "enrol",
            Self::Skip => "skip",
            Self::NoPod => "no_pod",
            Self::Error => "error",
        }
    }

    /// The reasons of this outcome that this version knows, and `other` for those of later versions.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        let (few, many): (&[&str], &[&str]) = match self {
            Self::Redirect => (&["container", "native"], &[]),
            Self::Enrol => (&["ambient"], &[]),
            Self::Skip => (&[OWN_POD], &SkipReason::CODES),
            Self::NoPod => (&[""], &[]),
            Self::Error => (&[], &ERROR_CODES),
        };
        few.iter().chain(many).copied().chain([OTHER_REASON])
    }

    /// The reason, if this version knows it, else `other`.
    pub fn known_reason(self, reason: &str) -> &'static str {
        let known = self.reasons().find(|known| *known == reason);
        known.unwrap_or(OTHER_REASON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_reports_and_metrics_are_the_same() {
        for outcome in AddOutcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }

    #[test]
    fn only_the_decision_is_required() {
        let report = Report::from_json(br#"{"decision": "no_pod", "later": 1}"#).unwrap();
        assert_eq!(report.decision, AddOutcome::NoPod);
        assert!(Report::from_json(b"{}").is_err());
        assert!(Report::from_json(br#"{"decision": "maybe"}"#).is_err());
    }

    #[test]
    fn a_reason_that_is_not_a_code_is_replaced() {
        for (reason, expected) in [
            ("no-istio-proxy", "no-istio-proxy"),
            ("103", "103"),
            ("two words", "other"),
            (&"x".repeat(41), "other"),
        ] {
            let json = format!(r#"{{"decision": "skip", "reason": "{reason}"}}"#);
            let report = Report::from_json(json.as_bytes()).unwrap();
            assert_eq!(report.reason, expected);
        }
    }

    #[test]
    fn a_reason_belongs_to_its_outcome() {
        let known = |outcome: AddOutcome, reason| outcome.known_reason(reason);
        assert_eq!(known(AddOutcome::Error, "103"), "103");
        assert_eq!(known(AddOutcome::Skip, "103"), "other");
        assert_eq!(known(AddOutcome::Skip, "mode-none"), "mode-none");
        assert_eq!(known(AddOutcome::NoPod, ""), "");
        assert_eq!(known(AddOutcome::Redirect, "later"), "other");
    }

    #[test]
    fn the_number_and_length_of_warnings_are_limited() {
        let warning = serde_json::json!({"code": "later-code", "message": "ü".repeat(1000)});
        let json = serde_json::json!({"decision": "redirect", "warnings": vec![warning; 9]});
        let report = Report::from_json(json.to_string().as_bytes()).unwrap();
        assert_eq!(report.warnings.len(), MAX_WARNINGS);
        let first = &report.warnings[0];
        assert_eq!(
            (first.code.as_str(), first.message.len()),
            ("later-code", 900)
        );
    }

    #[test]
    fn the_largest_report_is_accepted() {
        let mut report = Report::from_json(br#"{"decision": "redirect"}"#).unwrap();
        let warning = ReportedWarning::new("unknown-value", &"\"".repeat(1000));
        report.warnings = vec![warning; MAX_WARNINGS];
        let line = LogLine {
            level: "warn".to_owned(),
            message: "\u{10ffff}".repeat(1000),
        };
        report.lines = vec![line; 12];
        assert!(report.to_request().len() <= MAX_REPORT_BYTES);
    }

    #[test]
    fn the_request_contains_the_whole_report() {
        let report = Report::from_json(br#"{"decision": "skip", "reason": "own-pod"}"#).unwrap();
        let request = String::from_utf8(report.to_request()).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/reports HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert_eq!(Report::from_json(body.as_bytes()).unwrap(), report);
    }
}
