//! `select`: the plugin's decision for a pod, and each condition with its fact.

use mesh_cni_plan::Decision;
use mesh_cni_selector::{Condition, Mesh, Selection, SelectionMode, SidecarKind, conditions};
use serde::Serialize;

use crate::arguments::{Output, SelectArguments};
use crate::case::{Case, Cases, OWN_POD, ShownWarning};
use crate::console::{BAD, BOLD, Console, GOOD, Styled, json};
use crate::failure::{Exit, Failure};

/// The decision for one pod; a list of pods gives an array of these.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The pod's namespace.
    namespace: String,
    /// The pod's name.
    name: String,
    /// The set of conditions: `asm`, `asm-literal` or `istio`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    selection: SelectionMode,
    #[serde(flatten)]
    decision: Shown,
    /// Each condition of the selection, in its order.
    conditions: Vec<ShownCondition>,
}

/// A condition that a redirected pod meets.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownCondition {
    /// What must hold, the same for every pod.
    name: &'static str,
    /// Whether it holds.
    holds: bool,
    /// The fact that decides it.
    fact: String,
}

/// What the plugin does with the pod.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "decision", rename_all = "snake_case")]
enum Shown {
    /// It redirects the pod's traffic.
    Redirect {
        /// The mesh of the proxy: `istio`, `linkerd` or `kuma`.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        mesh: Mesh,
        /// The kind of container that runs the proxy: `container` or `native`.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        sidecar: SidecarKind,
        /// Problems of the pod's settings that do not refuse the pod.
        warnings: Vec<ShownWarning>,
    },
    /// It redirects the pod's traffic to ztunnel.
    Enrol {
        /// `ambient`.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        mesh: Mesh,
        /// Problems of the pod's settings that do not refuse the pod.
        warnings: Vec<ShownWarning>,
    },
    /// It leaves the pod as it is.
    Skip {
        /// The reason's stable name.
        code: &'static str,
        /// The reason.
        reason: String,
    },
}

/// Prints the decision for each pod; exit code 1 if one is not redirected, 2 if the plugin rejects
/// one.
pub(crate) fn run(arguments: &SelectArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let cases = Cases::read(&arguments.subject.pod, &arguments.subject.conf, console)?;
    let are_several = cases.are_several;
    let mut reports = Vec::new();
    let exit = cases.each(console, |case, console| {
        let report = Report::new(case)?;
        if arguments.output == Output::Text {
            report.warn(console);
        }
        let exit = report.exit();
        reports.push(report);
        Ok(exit)
    })?;
    let text = match (arguments.output, reports.as_slice()) {
        (Output::Text, [report]) if !are_several => report.text(),
        (Output::Text, reports) => reports.iter().map(Report::line).collect(),
        (Output::Json, [report]) if !are_several => json(report),
        (Output::Json, reports) => json(&reports),
    };
    console.result(&text)?;
    Ok(exit)
}

impl Report {
    fn new(case: Case) -> Result<Self, Failure> {
        let policy = case.conf.policy();
        Ok(Self {
            decision: case.decide()?.into(),
            selection: policy.selection,
            conditions: conditions(&case.facts, &policy)
                .into_iter()
                .map(ShownCondition::from)
                .collect(),
            namespace: case.facts.namespace,
            name: case.facts.name,
        })
    }

    fn exit(&self) -> Exit {
        match self.decision {
            Shown::Redirect { .. } | Shown::Enrol { .. } => Exit::Done,
            Shown::Skip { .. } => Exit::No,
        }
    }

    fn warn(&self, console: &mut Console<'_>) {
        let (Shown::Redirect { warnings, .. } | Shown::Enrol { warnings, .. }) = &self.decision
        else {
            return;
        };
        for warning in warnings {
            console.warn(format_args!(
                "pod {}/{}: {warning}",
                self.namespace, self.name
            ));
        }
    }

    fn line(&self) -> String {
        let Self {
            namespace, name, ..
        } = self;
        let pod = Styled(BOLD, format!("{namespace}/{name}"));
        let decision = match &self.decision {
            &Shown::Redirect { mesh, sidecar, .. } => {
                let selection = Selection::Redirect { mesh, sidecar };
                Styled(GOOD.bold(), selection.to_string())
            }
            Shown::Enrol { .. } => Styled(GOOD.bold(), Selection::Enrol.to_string()),
            Shown::Skip { reason, .. } => Styled(BAD, format!("skip, {reason}")),
        };
        format!("{pod}: {decision}\n")
    }

    fn text(&self) -> String {
        let mut text = self.line() + "\n";
        let width = self.conditions.iter().map(|each| each.name.len()).max();
        let width = width.unwrap_or(0);
        for condition in &self.conditions {
            let answer = if condition.holds {
                Styled(GOOD, "yes")
            } else {
                Styled(BAD, "no ")
            };
            let (name, fact) = (condition.name, &condition.fact);
            let line = format!("  {answer}  {name:<width$}  {fact}\n");
            text.push_str(&line);
        }
        text
    }
}

impl From<Condition> for ShownCondition {
    fn from(Condition { name, holds, fact }: Condition) -> Self {
        Self { name, holds, fact }
    }
}

impl From<Decision> for Shown {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Redirect(redirection) | Decision::Enrol(redirection) => {
                let mesh = redirection.interception.mesh();
                let warnings = ShownWarning::all(&redirection.warnings);
                match redirection.sidecar {
                    Some(sidecar) => Self::Redirect {
                        mesh,
                        sidecar,
                        warnings,
                    },
                    None => Self::Enrol { mesh, warnings },
                }
            }
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
