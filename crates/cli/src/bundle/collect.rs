//! Collects what a support archive contains. What cannot be read is noted in the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use mesh_cni_kube::list::Selector;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use serde_json::{Value, json};

use super::BundleArguments;
use super::archive::Archive;
use super::redact;
use super::this_node::NodeFiles;
use crate::cluster::Cluster;
use crate::cluster::agents::{AgentPod, CONTAINER};
use crate::cluster::conf::CONFIG_MAP;
use crate::cluster::exec::ExecLimits;
use crate::failure::Failure;
use crate::pods::{Answers, ClusterPod, Namespaces, Row};

/// The most pods whose decisions are taken.
const MAX_PODS: usize = 20_000;

/// The most nodes.
const MAX_NODES: usize = 200;

/// Which nodes and pods the archive is about.
pub(super) struct Subject {
    agents: Vec<AgentPod>,
    pods: Vec<ClusterPod>,
    /// What is not known, and why.
    missing: Vec<(String, String)>,
}

impl Subject {
    /// Finds the agents of the chosen nodes, and the pods there.
    pub(super) async fn find(
        cluster: &Cluster,
        arguments: &BundleArguments,
    ) -> Result<Self, Failure> {
        let mut missing = Vec::new();
        let mut nodes: BTreeSet<String> = arguments.node.iter().cloned().collect();
        let mut pods = Vec::new();
        for name in &arguments.pod {
            let path = format!("/api/v1/namespaces/{}/pods", name.namespace);
            let found = cluster.get::<ClusterPod>(&path, &name.name).await;
            match found.map_err(chain) {
                Ok(Some(pod)) => {
                    nodes.extend(pod.node.clone());
                    pods.push(pod);
                }
                Ok(None) => missing.push((pod_path(name), "it does not exist".to_owned())),
                Err(why) => missing.push((pod_path(name), why)),
            }
        }
        if arguments.pod.is_empty() {
            let mut dropped = 0;
            let on_pod = |pod: Result<ClusterPod, String>| {
                let Ok(pod) = pod else { return };
                let is_chosen = |node: &String| nodes.is_empty() || nodes.contains(node);
                match pods.len() {
                    _ if pod.has_ended() || !pod.node.as_ref().is_none_or(is_chosen) => {}
                    MAX_PODS => dropped += 1,
                    _ => pods.push(pod),
                }
            };
            let listed = cluster.each_object("/api/v1/pods", Selector::default(), on_pod);
            if let Err(error) = listed.await {
                missing.push(("cluster/pods.json".to_owned(), chain(error)));
            }
            if dropped > 0 {
                let why = format!("{dropped} pods more than {MAX_PODS}: choose nodes");
                missing.push(("cluster/pods.json".to_owned(), why));
            }
        }
        let listed = cluster.agents(&arguments.agents).await?;
        let by_node = listed.by_node();
        for node in nodes
            .iter()
            .filter(|node| !by_node.contains_key(node.as_str()))
        {
            missing.push((format!("nodes/{node}"), "the node has no agent".to_owned()));
        }
        let chosen = by_node.into_iter();
        let chosen = chosen.filter(|(node, _)| nodes.is_empty() || nodes.contains(*node));
        let mut agents: Vec<_> = chosen.map(|(_, agent)| agent.clone()).collect();
        for agent in agents.iter().skip(MAX_NODES) {
            let why = format!("an archive has at most {MAX_NODES} nodes: choose nodes");
            missing.push((format!("nodes/{}", agent.node), why));
        }
        agents.truncate(MAX_NODES);
        Ok(Self {
            agents,
            pods,
            missing,
        })
    }

    /// The facts of the pods.
    pub(super) fn facts(&self) -> impl Iterator<Item = &PodFacts> {
        self.pods
            .iter()
            .filter_map(|pod| pod.pod.facts.as_ref().ok())
    }

    /// Adds everything to the archive.
    pub(super) async fn add_to<W: Write>(
        self,
        archive: &mut Archive<W>,
        cluster: &Cluster,
        arguments: &BundleArguments,
    ) -> io::Result<()> {
        for (what, why) in &self.missing {
            archive.missing(what, why);
        }
        archive.add_json(
            "cluster/version.json",
            &json!({"api_server": cluster.version.text}),
        )?;
        self.add_agents(archive)?;
        let namespace = &arguments.agents.agent_namespace;
        let conf = match cluster.entry(namespace).await {
            Ok(entry) => {
                archive.add_json(
                    "cluster/entry.json",
                    &redact::conf(&Value::Object(entry.clone())),
                )?;
                MeshConf::decode(&entry)
                    .map_err(chain)
                    .map(|decoded| decoded.conf)
            }
            Err(error) => Err(chain(error)),
        };
        let conf = conf.unwrap_or_else(|why| {
            archive.missing(&format!("ConfigMap {namespace}/{CONFIG_MAP}"), &why);
            MeshConf::default()
        });
        let agents: Vec<_> = self.agents.iter().collect();
        let answers = Answers::request(cluster, &agents, None).await;
        let namespaces = Namespaces::read(cluster, [&conf]).await;
        if let Some(why) = &namespaces.error {
            archive.missing("cluster/pods.json", why);
        }
        let by_node: BTreeMap<_, _> = agents.iter().map(|agent| (&agent.node, *agent)).collect();
        let mut rows = Vec::new();
        for pod in self.pods {
            let pod = namespaces.complete(pod);
            rows.push(Row::new(&pod, &conf, &answers));
            if !arguments.pod.is_empty() {
                let agent = pod.node.as_ref().and_then(|node| by_node.get(node));
                add_pod(archive, cluster, &pod, agent.copied()).await?;
            }
        }
        archive.add_json("cluster/pods.json", &rows)?;
        for agent in agents {
            if let Some(Some(why)) = answers.nodes.get(&agent.node) {
                archive.missing(&format!("nodes/{}: pods", agent.node), why);
            }
            add_node(archive, cluster, agent, arguments.lines).await?;
        }
        Ok(())
    }

    fn add_agents<W: Write>(&self, archive: &mut Archive<W>) -> io::Result<()> {
        let agent = |agent: &AgentPod| {
            json!({
                "node": agent.node, "name": agent.name.name, "image": agent.image,
                "phase": agent.phase, "is_ready": agent.is_ready, "restarts": agent.restarts,
                "waits_for": agent.waits_for, "arguments": agent.arguments,
            })
        };
        let agents: Vec<_> = self.agents.iter().map(agent).collect();
        archive.add_json("cluster/agents.json", &agents)
    }
}

/// Adds a chosen pod: its settings without secrets, and the comparison of its rules.
async fn add_pod<W: Write>(
    archive: &mut Archive<W>,
    cluster: &Cluster,
    pod: &ClusterPod,
    agent: Option<&AgentPod>,
) -> io::Result<()> {
    let name = &pod.pod.name;
    let directory = format!("pods/{}_{}", name.namespace, name.name);
    match &pod.pod.facts {
        Ok(facts) => archive.add_json(
            &format!("{directory}/facts.json"),
            &redact::facts(facts.clone()),
        )?,
        Err(error) => archive.missing(&format!("{directory}/facts.json"), &chain(error)),
    }
    let path = format!("{directory}/verify.json");
    let Some(agent) = agent else {
        archive.missing(&path, "the pod's node has no agent");
        return Ok(());
    };
    let name = name.to_string();
    let command = [
        "/bin/mesh-cnictl",
        "verify",
        "--output=json",
        "--pod",
        &name,
    ];
    add_output(archive, cluster, agent, &command, &path).await
}

/// Adds the state of a node, its files, and the end of the agent's log.
async fn add_node<W: Write>(
    archive: &mut Archive<W>,
    cluster: &Cluster,
    agent: &AgentPod,
    lines: u16,
) -> io::Result<()> {
    let directory = format!("nodes/{}", agent.node);
    let path = format!("{directory}/agent.log");
    match cluster.log(&agent.name, CONTAINER, lines).await {
        Ok(log) => archive.add(&path, &log)?,
        Err(error) => archive.missing(&path, &chain(error)),
    }
    let status = agent.status_command();
    let status: Vec<_> = status.iter().map(String::as_str).collect();
    add_output(
        archive,
        cluster,
        agent,
        &status,
        &format!("{directory}/status.json"),
    )
    .await?;
    let run_dir = agent
        .run_dir
        .as_ref()
        .map(|path| format!("--run-dir={path}"));
    let command = ["/bin/mesh-cnictl", "bundle", "--this-node"];
    let command: Vec<_> = command.into_iter().chain(run_dir.as_deref()).collect();
    let files = match output(cluster, agent, &command).await {
        Ok(text) => serde_json::from_str::<NodeFiles>(&text).map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    match files {
        Ok(NodeFiles { files, missing }) => {
            for (name, text) in files {
                archive.add(&format!("{directory}/{name}"), &text)?;
            }
            for (name, why) in missing {
                archive.missing(&format!("{directory}/{name}"), &why);
            }
        }
        Err(why) => archive.missing(
            &format!("{directory}: configurations, metrics, plugin's log"),
            &why,
        ),
    }
    Ok(())
}

async fn add_output<W: Write>(
    archive: &mut Archive<W>,
    cluster: &Cluster,
    agent: &AgentPod,
    command: &[&str],
    path: &str,
) -> io::Result<()> {
    match output(cluster, agent, command).await {
        Ok(text) => archive.add(path, &text),
        Err(why) => {
            archive.missing(path, &why);
            Ok(())
        }
    }
}

/// What a program prints, whatever its exit code, if it prints something.
async fn output(cluster: &Cluster, agent: &AgentPod, command: &[&str]) -> Result<String, String> {
    let output = cluster.exec(agent, command, ExecLimits::default()).await;
    let output = output.map_err(chain)?;
    if output.stdout.is_empty() {
        return Err(format!(
            "exit code {}: {}",
            output.exit_code,
            output.message()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn pod_path(name: &crate::arguments::PodName) -> String {
    format!("pods/{}_{}", name.namespace, name.name)
}

fn chain(error: impl std::error::Error) -> String {
    error_reporter::Report::new(error).to_string()
}
