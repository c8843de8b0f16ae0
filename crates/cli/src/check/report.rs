//! Prints findings, as text or JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, Status};
use super::groups::count;
use crate::console::{BAD, BOLD, DIM, GOOD, Styled, WARN};
use crate::failure::Exit;

/// How many names a line shows without `--verbose`.
const SHOWN: usize = 3;

/// All findings about a cluster.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The worst status.
    pub(crate) status: Status,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(findings: Vec<Finding>) -> Self {
        let worst = findings.iter().map(|finding| finding.status).max();
        Self {
            status: worst.unwrap_or(Status::Ok),
            findings,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.status == Status::Failed {
            Exit::No
        } else {
            Exit::Done
        }
    }

    /// One line for each finding, its hint, and the names; all names if `verbose`.
    pub(crate) fn text(&self, verbose: bool) -> String {
        let width = self.findings.iter().map(|each| each.id.as_str().len());
        let width = width.max().unwrap_or_default();
        let indent = " ".repeat(9 + width + 2);
        let mut text = String::new();
        for finding in &self.findings {
            let status = match finding.status {
                Status::Ok => Styled(GOOD, "ok       "),
                Status::Warning => Styled(WARN, "warning  "),
                Status::Failed => Styled(BAD, "failed   "),
            };
            let id = Styled(BOLD, format!("{:width$}", finding.id.as_str()));
            let _written = writeln!(text, "{status}{id}  {}", finding.text);
            for line in self.names(finding, verbose) {
                let _written = writeln!(text, "{indent}{}", Styled(DIM, line));
            }
            if let Some(hint) = &finding.hint {
                let _written = writeln!(text, "{indent}{} {hint}", Styled(DIM, "hint:"));
            }
        }
        text + "\n" + &self.summary() + "\n"
    }

    /// The names, one line each, or the first few on one line. Everything that is the same and fine
    /// needs no names.
    fn names(&self, finding: &Finding, verbose: bool) -> Vec<String> {
        let names = &finding.names;
        if verbose && names.len() > SHOWN {
            return names.clone();
        }
        let mut others = self.findings.iter().filter(|other| other.id == finding.id);
        let is_only = others.nth(1).is_none();
        if names.is_empty() || finding.status == Status::Ok && is_only && !verbose {
            return Vec::new();
        }
        let first = names[..SHOWN.min(names.len())].join(", ");
        vec![match names.len().saturating_sub(SHOWN) {
            0 => first,
            more => format!("{first} and {more} more"),
        }]
    }

    /// `2 failed, 1 warning, 9 ok`.
    pub(crate) fn summary(&self) -> String {
        let number = |status| {
            self.findings
                .iter()
                .filter(|each| each.status == status)
                .count()
        };
        format!(
            "{} failed, {}, {} ok",
            number(Status::Failed),
            count(number(Status::Warning), "warning"),
            number(Status::Ok)
        )
    }
}
