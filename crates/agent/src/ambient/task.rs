//! Carries out a step that blocks or waits, outside of the actor.

use std::sync::Arc;

use mesh_cni_kube::pod::{Pod, PodName};
use mesh_cni_netns::NetNs;
use mesh_cni_plan::ExpectedRules;
use tokio::task::spawn_blocking;

use super::annotation;
use super::kernel::Kernel;
use super::problem::Problem;
use super::records::Record;
use super::step::{Namespace, Part, Step};
use crate::error_chain;
use crate::kube::lookup::FactsLookup;

/// What a step needs to know of its pod.
pub(super) struct Task {
    /// The pod, if the API server has it.
    pub(super) pod: Option<Arc<Pod>>,
    pub(super) name: PodName,
    pub(super) record: Record,
    pub(super) netns: Option<Arc<NetNs>>,
    pub(super) expected: Option<Arc<ExpectedRules>>,
    pub(super) kernel: Kernel,
    pub(super) lookup: FactsLookup,
}

/// What a step found.
pub(super) enum Outcome {
    Done,
    Namespace(NetNs),
    Checked(Namespace, Part),
}

impl Task {
    pub(super) async fn carry_out(self, step: Step, uid: &str) -> Result<Outcome, Problem> {
        match step {
            Step::Annotate => annotation::set(&self.lookup, &self.name, uid).await,
            Step::RemoveAnnotation => annotation::remove(&self.lookup, &self.name, uid).await,
            step => {
                let uid = uid.to_owned();
                let work = spawn_blocking(move || self.in_kernel(step, &uid)).await;
                work.unwrap_or_else(|error| {
                    Err(Problem {
                        why: error_chain(&error),
                        remedy: "report this as a defect of mesh-cni",
                    })
                })
            }
        }
    }

    fn in_kernel(&self, step: Step, uid: &str) -> Result<Outcome, Problem> {
        let kernel = &self.kernel;
        let outcome = match step {
            Step::FindNamespace => kernel.find(self.pod()?).map(Outcome::Namespace),
            Step::CheckRules => kernel
                .check(self.netns()?, uid, &self.record, self.expected()?)
                .map(|(namespace, rules)| Outcome::Checked(namespace, rules)),
            Step::WriteRules => kernel
                .write_rules(self.netns()?, self.expected()?)
                .map(|()| Outcome::Done),
            Step::RemoveRules => kernel.remove_rules(self.netns()?).map(|()| Outcome::Done),
            Step::AddProbes => kernel.add_probes(uid, &self.record).map(|()| Outcome::Done),
            Step::RemoveProbes => kernel.remove_probes(uid).map(|()| Outcome::Done),
            Step::Annotate
            | Step::RemoveAnnotation
            | Step::Serve
            | Step::Forget
            | Step::Drop
            | Step::Wait
            | Step::Settled => Ok(Outcome::Done),
        };
        outcome.map_err(|error| Problem {
            why: error_chain(&error),
            remedy: error.remedy(),
        })
    }

    fn pod(&self) -> Result<&Pod, Problem> {
        let pod = self.pod.as_deref();
        pod.ok_or_else(|| missing("the API server does not have the pod"))
    }

    fn netns(&self) -> Result<&NetNs, Problem> {
        let netns = self.netns.as_deref();
        netns.ok_or_else(|| missing("the pod's network namespace is not open"))
    }

    fn expected(&self) -> Result<&ExpectedRules, Problem> {
        let expected = self.expected.as_deref();
        expected.ok_or_else(|| missing("the rules that the pod should have are not known"))
    }
}

fn missing(why: &str) -> Problem {
    Problem {
        why: why.to_owned(),
        remedy: "nothing to do: the agent retries",
    }
}
