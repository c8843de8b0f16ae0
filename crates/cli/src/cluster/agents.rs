//! The pods of the agent, one on each node.

use std::collections::BTreeMap;

use clap::Args;
use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::list::Selector;
use mesh_cni_kube::object::Object;
use mesh_cni_kube::pod::PodName;
use serde_json::Value;

use super::{Cluster, Listed, access};
use crate::failure::Failure;

/// The agent's container in its pod, as the chart names it.
pub(crate) const CONTAINER: &str = "agent";

/// Which pods are agents.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArguments {
    /// The namespace of the agent
    #[arg(long, value_name = "NAMESPACE", default_value = AgentArguments::NAMESPACE)]
    pub(crate) agent_namespace: String,
    /// The label selector of the agent's pods
    #[arg(
        long,
        value_name = "LABELS",
        default_value = AgentArguments::SELECTOR
    )]
    pub(crate) agent_selector: String,
}

impl AgentArguments {
    /// The namespace that the documentation installs in.
    pub(crate) const NAMESPACE: &str = "kube-system";

    /// The labels of the chart.
    pub(crate) const SELECTOR: &str =
        "app.kubernetes.io/name=mesh-cni,app.kubernetes.io/component=agent";
}

/// A pod of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentPod {
    pub(crate) name: PodName,
    /// `spec.nodeName`; empty before the pod is scheduled.
    pub(crate) node: String,
    /// Whether its condition `Ready` is true.
    pub(crate) is_ready: bool,
    /// Whether it is being deleted.
    pub(crate) is_deleted: bool,
    /// The image of the agent's container.
    pub(crate) image: String,
    /// How often that container was restarted.
    pub(crate) restarts: u64,
    /// Why a container does not run, for example `ImagePullBackOff`.
    pub(crate) waits_for: Option<String>,
    /// `status.phase`.
    pub(crate) phase: String,
    /// The directories of the host that it was given, plugins and configurations.
    pub(crate) bin_dir: Option<String>,
    pub(crate) conf_dir: Option<String>,
    /// Where the run directory is mounted.
    pub(crate) run_dir: Option<String>,
    /// The arguments of the agent's container.
    pub(crate) arguments: Vec<String>,
}

impl Cluster {
    /// The agent's pods.
    pub(crate) async fn agents(
        &self,
        arguments: &AgentArguments,
    ) -> Result<Listed<AgentPod>, Failure> {
        let path = format!("/api/v1/namespaces/{}/pods", arguments.agent_namespace);
        let selector = Selector {
            fields: None,
            labels: Some(&arguments.agent_selector),
        };
        self.list(&path, selector)
            .await
            .map_err(|error| access::request_failure(error, "the agent's pods"))
    }
}

impl Listed<AgentPod> {
    /// The agent of each node. If a node has several, the one that is ready and is not being deleted.
    pub(crate) fn by_node(&self) -> BTreeMap<&str, &AgentPod> {
        let mut agents = BTreeMap::new();
        let rank = |pod: &AgentPod| (pod.is_ready, !pod.is_deleted);
        for pod in self.objects.iter().filter(|pod| !pod.node.is_empty()) {
            let agent = agents.entry(pod.node.as_str()).or_insert(pod);
            if rank(pod) > rank(agent) {
                *agent = pod;
            }
        }
        agents
    }
}

impl AgentPod {
    /// The command that prints the node's state, with the directories of this agent.
    pub(crate) fn status_command(&self) -> Vec<String> {
        let flags = ["--cni-bin-dir=", "--cni-conf-dir=", "--cni-conf-name="];
        let is_used = |argument: &&String| flags.iter().any(|flag| argument.starts_with(flag));
        let mut command = self.command("status");
        command.extend(self.arguments.iter().filter(is_used).cloned());
        command
    }

    /// The command that lists the node's pods.
    pub(crate) fn pods_command(&self) -> Vec<String> {
        self.command("pods")
    }

    fn command(&self, name: &str) -> Vec<String> {
        let run_dir = self.run_dir.iter().map(|path| format!("--run-dir={path}"));
        let command = ["/bin/mesh-cni-agent", name, "--output=json"].map(str::to_owned);
        command.into_iter().chain(run_dir).collect()
    }
}

const VOLUME: Keep = Keep::Fields(&[
    ("name", &Keep::All),
    ("hostPath", &Keep::Fields(&[("path", &Keep::All)])),
]);

/// The item of a list that has that name.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut items = list.as_array().into_iter().flatten();
    items
        .find(|item| item["name"] == name)
        .unwrap_or(&Value::Null)
}

impl Object for AgentPod {
    const KEEP: &'static Keep = &Keep::Fields(&[
        (
            "metadata",
            &Keep::Fields(&[
                ("namespace", &Keep::All),
                ("name", &Keep::All),
                ("deletionTimestamp", &Keep::All),
                ("resourceVersion", &Keep::All),
            ]),
        ),
        (
            "spec",
            &Keep::Fields(&[
                ("nodeName", &Keep::All),
                (
                    "containers",
                    &Keep::Items(&Keep::Fields(&[
                        ("name", &Keep::All),
                        ("image", &Keep::All),
                        ("args", &Keep::All),
                        ("volumeMounts", &Keep::All),
                    ])),
                ),
                ("volumes", &Keep::Items(&VOLUME)),
            ]),
        ),
        (
            "status",
            &Keep::Fields(&[
                ("phase", &Keep::All),
                ("conditions", &Keep::All),
                ("initContainerStatuses", &Keep::All),
                ("containerStatuses", &Keep::All),
            ]),
        ),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = metadata["name"].as_str();
        let namespace = metadata["namespace"].as_str();
        let agent = named(&spec["containers"], CONTAINER);
        let host_path = |volume: &str| {
            let path = named(&spec["volumes"], volume)["hostPath"]["path"].as_str();
            path.map(str::to_owned)
        };
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let mut statuses = statuses
            .iter()
            .flat_map(|field| status[*field].as_array().into_iter().flatten());
        let conditions = status["conditions"].as_array();
        Ok(Self {
            name: PodName::new(
                namespace.ok_or("a pod without `metadata.namespace`")?,
                name.ok_or("a pod without `metadata.name`")?,
            ),
            node: text(&spec["nodeName"]),
            is_ready: conditions.is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|each| each["type"] == "Ready" && each["status"] == "True")
            }),
            is_deleted: !metadata["deletionTimestamp"].is_null(),
            image: text(&agent["image"]),
            restarts: named(&status["containerStatuses"], CONTAINER)["restartCount"]
                .as_u64()
                .unwrap_or_default(),
            waits_for: statuses
                .find_map(|each| each["state"]["waiting"]["reason"].as_str())
                .map(str::to_owned),
            phase: text(&status["phase"]),
            bin_dir: host_path("cni-bin"),
            conf_dir: host_path("cni-conf"),
            run_dir: named(&agent["volumeMounts"], "run")["mountPath"]
                .as_str()
                .map(str::to_owned),
            arguments: agent["args"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }
}
