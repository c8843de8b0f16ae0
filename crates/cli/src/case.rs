//! A pod and the plugin's configuration, and the plugin's decision for them.

use std::fmt;

use mesh_cni_plan::{Decision, MeshConf, PlanError, Redirection, Warning, decide};
use mesh_cni_selector::PodFacts;
use serde::Serialize;

use crate::arguments::Subject;
use crate::console::Console;
use crate::failure::Failure;
use crate::input;

/// Why the agent's own pod gets no rules.
pub(crate) const OWN_POD: &str = "the pod belongs to the agent, which the plugin never redirects";

pub(crate) struct Case {
    pub(crate) facts: PodFacts,
    pub(crate) conf: MeshConf,
}

impl Case {
    pub(crate) fn read(subject: &Subject, console: &mut Console<'_>) -> Result<Self, Failure> {
        let conf = read_conf(subject, console)?;
        let facts = input::facts(&subject.pod)?;
        Ok(Self { facts, conf })
    }

    /// One case for each pod of a list, or for the only pod.
    pub(crate) fn read_all(
        subject: &Subject,
        console: &mut Console<'_>,
    ) -> Result<Vec<Result<Self, Failure>>, Failure> {
        let conf = read_conf(subject, console)?;
        let case = |facts| Self {
            facts,
            conf: conf.clone(),
        };
        let pods = input::all_facts(&subject.pod)?;
        Ok(pods.into_iter().map(|facts| facts.map(case)).collect())
    }

    /// `namespace/name`.
    pub(crate) fn pod(&self) -> String {
        format!("{}/{}", self.facts.namespace, self.facts.name)
    }

    /// What an ADD would do for the pod.
    pub(crate) fn decide(&self) -> Result<Decision, Failure> {
        decide(&self.facts, &self.conf).map_err(|error| {
            let hint = match &error {
                PlanError::MissingFacts(_) => {
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
            Decision::Redirect(redirection) => {
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

fn read_conf(subject: &Subject, console: &mut Console<'_>) -> Result<MeshConf, Failure> {
    input::check_stdin([
        ("--pod", Some(&subject.pod)),
        ("--conf", subject.conf.as_deref()),
    ])?;
    match &subject.conf {
        Some(path) => input::conf(path, console),
        None => Ok(MeshConf::default()),
    }
}
