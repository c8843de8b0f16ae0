//! The series that exist before anything is counted.

use mesh_cni_agent_api::AddOutcome;

use super::{InstallResult, Metrics, RepairResult};
use crate::warnings::known_codes;

/// The kinds of repair.
const REPAIRS: [&str; 4] = ["repair", "delete", "label", "unlabel"];

/// The verbs of requests to the API server.
const VERBS: [&str; 6] = ["list", "watch", "get", "create", "patch", "delete"];

impl Metrics {
    /// Creates the series whose labels are known with zero, so that a rate includes the first count.
    pub(super) fn create_known_series(&self) {
        for result in [InstallResult::Success, InstallResult::Failure] {
            drop(self.installs.get_or_create(&[("result", result.label())]));
        }
        for outcome in AddOutcome::ALL {
            let decision = || ("decision", outcome.as_str().to_owned());
            drop(self.durations.get_or_create(&[decision()]));
            for reason in outcome.reasons() {
                let reason = ("reason", reason.to_owned());
                drop(self.adds.get_or_create(&[decision(), reason]));
            }
        }
        for kind in REPAIRS {
            for result in [
                RepairResult::Success,
                RepairResult::Failure,
                RepairResult::Skip,
            ] {
                let labels = [("type", kind.to_owned()), ("result", result.label())];
                drop(self.repairs.get_or_create(&labels));
            }
        }
        for verb in VERBS {
            drop(self.requests.get_or_create(&[("verb", verb.to_owned())]));
        }
        for code in known_codes() {
            let reason = [("reason", code.to_owned())];
            drop(self.add_warnings.get_or_create(&reason));
        }
        self.ambient.create_known_series();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_cni_agent_api::Report;

    use super::*;
    use crate::ambient::Cause;
    use crate::metrics::{Change, CurrentState};

    /// The names and labels of all series.
    fn series(metrics: &Metrics) -> BTreeSet<String> {
        let text = metrics.text(&CurrentState::default());
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _value)| name.to_owned())
            .collect()
    }

    #[test]
    fn counting_creates_no_series() {
        let metrics = Metrics::new();
        let before = series(&metrics);
        for (decision, reason) in [
            ("redirect", "native"),
            ("skip", "mode-none"),
            ("skip", "own-pod"),
            ("no_pod", ""),
            ("error", "7"),
            ("error", "12345"),
        ] {
            let report = format!(
                r#"{{"decision": "{decision}", "reason": "{reason}",
                    "warnings": [{{"code": "later", "message": ""}}]}}"#
            );
            metrics.added(&Report::from_json(report.as_bytes()).unwrap());
        }
        for result in [
            RepairResult::Success,
            RepairResult::Failure,
            RepairResult::Skip,
        ] {
            for kind in REPAIRS {
                metrics.repaired(kind, result);
            }
        }
        for result in [InstallResult::Success, InstallResult::Failure] {
            metrics.installed(result);
        }
        for verb in VERBS {
            metrics.api_request(verb);
        }
        metrics.contested();
        metrics.api_failed();
        metrics.api_busy();
        metrics.object_skipped();
        metrics.repair_pod_dropped();
        for change in [Change::Enrol, Change::Leave, Change::Repair] {
            metrics.ambient.changed(change);
        }
        for cause in Cause::ALL {
            metrics.ambient.failed(cause);
        }
        assert_eq!(series(&metrics), before);
    }

    #[test]
    fn the_version_and_the_broken_pods_are_shown() {
        let metrics = Metrics::new();
        let version = concat!(
            r#"mesh_cni_build_info{version=""#,
            env!("CARGO_PKG_VERSION"),
            r#""} 1"#
        );
        for (broken_pods, shown) in [(None, "NaN"), (Some(0), "0.0"), (Some(2), "2.0")] {
            let now = CurrentState {
                broken_pods,
                ..CurrentState::default()
            };
            let text = metrics.text(&now);
            assert!(text.lines().any(|line| line == version), "{text}");
            let broken = format!("mesh_cni_broken_pods {shown}");
            assert!(text.lines().any(|line| line == broken), "{text}");
        }
    }
}
