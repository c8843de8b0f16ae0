//! `select`: the plugin's decision for a pod, and each condition with its fact.

use mesh_cni_plan::Decision;
use mesh_cni_selector::{Condition, Selection, SelectionMode, SidecarKind, conditions};
use serde::Serialize;

use crate::arguments::{Output, SelectArguments};
use crate::case::{Case, OWN_POD};
use crate::console::{BAD, BOLD, Console, GOOD, Styled};
use crate::failure::{Exit, Failure};

#[derive(Serialize)]
struct Report<'case> {
    namespace: &'case str,
    name: &'case str,
    selection: SelectionMode,
    #[serde(flatten)]
    decision: Shown,
    conditions: &'case [Condition],
}

/// The decision as it is printed.
#[derive(Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
enum Shown {
    Redirect { sidecar: SidecarKind },
    Skip { code: &'static str, reason: String },
}

/// Prints the decision; exit code 1 if the pod is not redirected.
pub(crate) fn run(arguments: &SelectArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let case = Case::read(&arguments.subject, console)?;
    let decision = Shown::from(case.decide()?);
    let policy = case.conf.policy();
    let conditions = conditions(&case.facts, &policy);
    let exit = match decision {
        Shown::Redirect { .. } => Exit::Done,
        Shown::Skip { .. } => Exit::No,
    };
    let text = match arguments.output {
        Output::Text => text(&case.pod(), &decision, &conditions),
        Output::Json => {
            let report = Report {
                namespace: &case.facts.namespace,
                name: &case.facts.name,
                selection: policy.selection,
                decision,
                conditions: &conditions,
            };
            let text = serde_json::to_string_pretty(&report);
            text.expect("texts and booleans are always written as JSON") + "\n"
        }
    };
    console.result(&text)?;
    Ok(exit)
}

impl From<Decision> for Shown {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Redirect(redirection) => Self::Redirect {
                sidecar: redirection.sidecar,
            },
            Decision::Skip(reason) => Self::Skip {
                code: reason.code(),
                reason: reason.to_string(),
            },
            Decision::OwnPod => Self::Skip {
                code: "own-pod",
                reason: OWN_POD.to_owned(),
            },
        }
    }
}

fn text(pod: &str, decision: &Shown, conditions: &[Condition]) -> String {
    let (style, decision) = match decision {
        Shown::Redirect { sidecar } => {
            let selection = Selection::Redirect(*sidecar);
            (GOOD.bold(), selection.to_string())
        }
        Shown::Skip { reason, .. } => (BAD, format!("skip, {reason}")),
    };
    let mut text = format!("{}: {}\n\n", Styled(BOLD, pod), Styled(style, decision));
    let width = conditions.iter().map(|each| each.name.len()).max();
    let width = width.unwrap_or(0);
    for condition in conditions {
        let answer = if condition.holds {
            Styled(GOOD, "yes")
        } else {
            Styled(BAD, "no ")
        };
        let line = format!(
            "  {answer}  {:<width$}  {}\n",
            condition.name, condition.fact
        );
        text.push_str(&line);
    }
    text
}
