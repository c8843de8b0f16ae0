//! A pod and the plugin's configuration, and the plugin's decision for them.

use std::fmt;

use mesh_cni_plan::{Decision, MeshConf, PlanError, Redirection, Warning, decide};
use mesh_cni_selector::{MissingFacts, PodFacts, SelectError};
use serde::Serialize;

use crate::arguments::{ConfArguments, PodArgument};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::{input, named_pod};

/// Why the agent's own pod gets no rules.
pub(crate) const OWN_POD: &str = "the pod belongs to the agent, which the plugin never redirects";

/// The pods of a command.
pub(crate) struct Cases {
    /// Whether there are several.
    pub(crate) are_several: bool,
    cases: Vec<Result<Case, Failure>>,
}

pub(crate) struct Case {
    pub(crate) facts: PodFacts,
    pub(crate) conf: MeshConf,
}

impl Cases {
    pub(crate) fn read(
        pod: &PodArgument,
        conf: &ConfArguments,
        console: &mut Console<'_>,
    ) -> Result<Self, Failure> {
        input::check_stdin([("--pod", pod.manifest()), ("--conf", conf.conf.as_deref())])?;
        let (pods, conf) = match pod {
            PodArgument::Manifest(path) => {
                conf.without_cluster()?;
                let conf = conf.conf.as_deref().map(|path| input::conf(path, console));
                let conf = conf.transpose()?.unwrap_or_default();
                (input::all_facts(path)?, conf)
            }
            PodArgument::Named(name) => {
                let (facts, conf) = named_pod::find(name, conf, console)?;
                (vec![Ok(facts)], conf)
            }
        };
        let case = |facts| Case {
            facts,
            conf: conf.clone(),
        };
        let cases: Vec<_> = pods.into_iter().map(|facts| facts.map(case)).collect();
        Ok(Self {
            are_several: cases.len() > 1,
            cases,
        })
    }

    /// Does the work for each pod. If there are several, one that fails does not stop the others. The
    /// exit code is the highest of all.
    pub(crate) fn each(
        self,
        console: &mut Console<'_>,
        mut work: impl FnMut(Case, &mut Console<'_>) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        for case in self.cases {
            match case.and_then(|case| work(case, console)) {
                Ok(of_pod) => exit = exit.max(of_pod),
                Err(failure) if self.are_several && !failure.is_about_output() => {
                    exit = exit.max(failure.exit());
                    failure.print(console);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(exit)
    }
}

impl Case {
    /// `namespace/name`.
    pub(crate) fn pod(&self) -> String {
        format!("{}/{}", self.facts.namespace, self.facts.name)
    }

    /// What an ADD would do for the pod.
    pub(crate) fn decide(&self) -> Result<Decision, Failure> {
        decide(&self.facts, &self.conf).map_err(|error| {
            let hint = match &error {
                PlanError::Select(SelectError::MissingFacts(
                    MissingFacts::NamespaceAnnotations { .. },
                )) => "the pod source did not read them; ask the API server with --kubeconfig",
                PlanError::Select(SelectError::MissingFacts(_)) => {
                    "a manifest does not contain its namespace's labels: \
                     remove `exclude_namespace_selector` from the configuration"
                }
                _ => "the plugin rejects this pod, and its sandbox does not start",
            };
            let pod = self.pod();
            Failure::wrong(error).about(format!("pod {pod}")).hint(hint)
        })
    }

    /// The rules of the pod, with warnings; none with a note if it gets no rules.
    pub(crate) fn redirection(
        &self,
        console: &mut Console<'_>,
    ) -> Result<Option<Redirection>, Failure> {
        let reason = match self.decide()? {
            Decision::Redirect(redirection) | Decision::Enrol(redirection) => {
                for warning in &redirection.warnings {
                    console.warn(warning);
                }
                return Ok(Some(*redirection));
            }
            Decision::Skip(reason) => reason.to_string(),
            Decision::OwnPod => OWN_POD.to_owned(),
        };
        console.note(format_args!("{} gets no rules: {reason}", self.pod()));
        Ok(None)
    }
}

/// A problem of a pod's settings that does not refuse the pod.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ShownWarning {
    /// Its stable name.
    code: &'static str,
    /// What is wrong.
    message: String,
}

impl ShownWarning {
    pub(crate) fn all(warnings: &[Warning]) -> Vec<Self> {
        let shown = |warning: &Warning| Self {
            code: warning.code.as_str(),
            message: warning.message.clone(),
        };
        warnings.iter().map(shown).collect()
    }
}

impl fmt::Display for ShownWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}
