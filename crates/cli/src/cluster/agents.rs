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
    /// The namespace of the agent's DaemonSet
    #[arg(long, value_name = "NAMESPACE", default_value = "kube-system")]
    pub(crate) agent_namespace: String,
    /// The label selector of the agent's pods
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "app.kubernetes.io/name=mesh-cni,app.kubernetes.io/component=agent"
    )]
    pub(crate) agent_selector: String,
}

/// A pod of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
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
                    ])),
                ),
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
        let agent = |list: &Value| {
            let items = list.as_array().into_iter().flatten();
            let mut items = items.filter(|item| item["name"] == CONTAINER);
            items.next().cloned().unwrap_or_default()
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
            image: text(&agent(&spec["containers"])["image"]),
            restarts: agent(&status["containerStatuses"])["restartCount"]
                .as_u64()
                .unwrap_or_default(),
            waits_for: statuses
                .find_map(|each| each["state"]["waiting"]["reason"].as_str())
                .map(str::to_owned),
            phase: text(&status["phase"]),
        })
    }
}
