//! What the agents know of the pods of their nodes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IsTerminal as _, Write as _};

use mesh_cni_agent_api::{AmbientPod, ListedPod, PodList, Refusals, RulesApplied};
use mesh_cni_text::escaped;

use crate::cluster::Cluster;
use crate::cluster::agents::AgentPod;
use crate::cluster::exec::{ExecError, ExecLimits, ExecOutput};

/// The agent's answers. Each pod takes about 100 bytes, and more only if its rules are not applied.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What is known of a pod, by UID.
    pods: HashMap<Box<str>, KnownPod>,
    /// Why the agent of a node does not answer; `None` if it does.
    pub(crate) nodes: BTreeMap<String, Option<String>>,
}

#[derive(Clone, Debug)]
struct KnownPod {
    rules: RulesApplied,
    detail: Option<Box<str>>,
    ambient: Option<Box<AmbientPod>>,
    refusals: Option<Box<Refusals>>,
}

/// What the agent of its node knows of a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Whether its rules are applied.
    pub(super) rules: RulesApplied,
    /// Details about them.
    pub(super) detail: Option<String>,
    pub(super) ambient: Option<AmbientPod>,
    /// Its failed ADDs.
    pub(super) refusals: Option<Refusals>,
}

impl Answers {
    /// Asks the agents, for the pods of one namespace or of all.
    pub(crate) async fn request(
        cluster: &Cluster,
        agents: &[&AgentPod],
        namespace: Option<&str>,
    ) -> Self {
        let mut answers = Self::default();
        let mut asked: BTreeMap<Vec<String>, Vec<&AgentPod>> = BTreeMap::new();
        for agent in agents {
            if agent.phase == "Running" {
                asked.entry(command(agent)).or_default().push(agent);
            } else {
                let why = format!("the agent's pod is in phase `{}`", agent.phase);
                answers.nodes.insert(agent.node.clone(), Some(why));
            }
        }
        let is_terminal = io::stderr().is_terminal();
        let mut done = 0;
        for (command, agents_of_command) in &asked {
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            let pods = agents_of_command.iter().copied();
            let limits = ExecLimits::default();
            let on_end = |agent: &AgentPod, output| {
                answers.add(&agent.node, parse(output), namespace);
                done += 1;
                if is_terminal {
                    progress(&format!("{done} of {} agents", agents.len()));
                }
            };
            cluster.exec_each(pods, &command, limits, on_end).await;
        }
        if is_terminal {
            progress("");
        }
        answers
    }

    /// Adds what the agent of a node answers.
    pub(crate) fn add(
        &mut self,
        node: &str,
        answer: Result<PodList, String>,
        namespace: Option<&str>,
    ) {
        let why = match answer {
            Ok(list) => {
                let is_wanted =
                    |pod: &ListedPod| namespace.is_none_or(|wanted| wanted == pod.namespace);
                for pod in list.pods.into_iter().filter(is_wanted) {
                    if let Some(uid) = pod.uid {
                        let known = KnownPod {
                            rules: pod.rules,
                            detail: pod.rules_detail.map(Into::into),
                            ambient: pod.ambient.map(Box::new),
                            refusals: pod.refusals.map(Box::new),
                        };
                        self.pods.insert(uid.into(), known);
                    }
                }
                None
            }
            Err(why) => Some(why),
        };
        self.nodes.insert(node.to_owned(), why);
    }

    /// What is known of that pod.
    pub(super) fn of(&self, uid: &str, node: Option<&str>) -> Answer {
        if let Some(known) = self.pods.get(uid) {
            return Answer {
                rules: known.rules,
                detail: known.detail.as_deref().map(str::to_owned),
                ambient: known.ambient.as_deref().cloned(),
                refusals: known.refusals.as_deref().cloned(),
            };
        }
        let without = |rules, why: String| Answer {
            rules,
            detail: Some(why),
            ..Answer::default()
        };
        let Some(node) = node else {
            let why = "the pod is not on a node yet";
            return without(RulesApplied::No, why.to_owned());
        };
        let why = match self.nodes.get(node) {
            None => "the node has no agent".to_owned(),
            Some(Some(why)) => format!("the node's agent does not answer: {why}"),
            Some(None) => "the node's agent does not know the pod".to_owned(),
        };
        without(RulesApplied::Unknown, why)
    }
}

/// Prints the pods of the agent's node.
fn command(agent: &AgentPod) -> Vec<String> {
    let run_dir = agent.run_dir.as_ref();
    ["/bin/mesh-cni-agent", "pods", "--output=json"]
        .map(str::to_owned)
        .into_iter()
        .chain(run_dir.map(|path| format!("--run-dir={path}")))
        .collect()
}

fn parse(output: Result<ExecOutput, ExecError>) -> Result<PodList, String> {
    let output = output.map_err(|error| error_reporter::Report::new(error).to_string())?;
    match output.exit_code {
        0 => serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("its list of pods cannot be read: {error}")),
        2 if output.stderr.contains("unrecognized subcommand") => {
            Err("it is of a version that does not list its pods: upgrade it".to_owned())
        }
        code => Err(format!("exit code {code}: {}", output.message())),
    }
}

/// Replaces the last line of a terminal.
fn progress(text: &str) {
    let _written = write!(io::stderr(), "\r\u{1b}[K{}", escaped(text));
}
