//! Collects what is known of a cluster. One list that fails does not end the others.

use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::list::Selector;
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::object::Object;
use mesh_cni_kube::pod::CompletePod;
use mesh_cni_plan::MeshConf;
use std::collections::BTreeMap;

use super::objects::{ConfigMap, DaemonSet};
use super::observed::{AgentAnswer, Installation, Observed, ObservedAfter, ObservedBefore};
use super::pods::PodDecisions;
use super::{CheckArguments, rights};
use crate::cluster::agents::AgentPod;
use crate::cluster::conf::{CONFIG_MAP, EntryError};
use crate::cluster::exec::{ExecError, ExecLimits, ExecOutput};
use crate::cluster::{Cluster, Listed};
use crate::failure::Failure;

/// The most Events that are read.
const SANDBOX_EVENTS: Selector<'static> = Selector {
    fields: Some("reason=FailedCreatePodSandBox,type=Warning"),
    labels: None,
};

/// Everything for the judgement before the installation, with the configuration that would be
/// installed.
pub(crate) async fn before(
    cluster: &Cluster,
    arguments: &CheckArguments,
    conf: &MeshConf,
) -> Result<ObservedBefore, Failure> {
    let mut common = Observed::of(cluster, arguments);
    common.read_all(cluster, conf).await;
    let rights = rights::review(cluster, &arguments.namespace).await;
    let namespace = cluster.get::<Namespace>("/api/v1/namespaces", &arguments.namespace);
    let namespace = namespace.await;
    let path = format!(
        "/api/v1/namespaces/{}/configmaps",
        arguments.istio_namespace
    );
    let istio = common.list::<ConfigMap>(cluster, &path, Selector::default());
    let istio = istio.await;
    Ok(ObservedBefore {
        rights: common.known("the user's rights", rights),
        installation: common.known("the namespace", namespace).map(|found| {
            found.map_or(Installation::NoNamespace, |found| {
                Installation::Namespace(found.labels)
            })
        }),
        istio,
        istio_namespace: arguments.istio_namespace.clone(),
        common,
    })
}

/// Everything for the judgement after the installation.
pub(crate) async fn after(
    cluster: &Cluster,
    arguments: &CheckArguments,
    conf: Option<&MeshConf>,
) -> Result<ObservedAfter, Failure> {
    let mut common = Observed::of(cluster, arguments);
    let installed = installed_conf(cluster, arguments, &mut common).await;
    let conf = conf.cloned().or(installed).unwrap_or_default();
    common.read_all(cluster, &conf).await;
    let agents = cluster.agents(&arguments.agents()).await?;
    common.unreadable.extend(agents.unreadable.iter().cloned());
    let agents: BTreeMap<_, _> = agents
        .by_node()
        .into_iter()
        .map(|(node, pod)| (node.to_owned(), pod.clone()))
        .collect();
    let events = common.list(cluster, "/api/v1/events", SANDBOX_EVENTS).await;
    let (mut answers, mut lists) = (BTreeMap::new(), BTreeMap::new());
    exec(cluster, &agents, AgentPod::status_command, |pod, output| {
        answers.insert(pod.node.clone(), answer(output));
    })
    .await;
    // An agent of an earlier version has no such command; the answer above says less then.
    exec(cluster, &agents, AgentPod::pods_command, |pod, output| {
        let list = output.ok().filter(|output| output.exit_code == 0);
        let list = list.and_then(|output| serde_json::from_slice(&output.stdout).ok());
        lists.extend(list.map(|list| (pod.node.clone(), list)));
    })
    .await;
    Ok(ObservedAfter {
        common,
        agents,
        answers,
        lists,
        events,
    })
}

/// The configuration in the chart's `ConfigMap`.
async fn installed_conf(
    cluster: &Cluster,
    arguments: &CheckArguments,
    common: &mut Observed,
) -> Option<MeshConf> {
    let what = format!("ConfigMap {}/{CONFIG_MAP}", arguments.namespace);
    match cluster.conf(&arguments.namespace).await {
        Ok(decoded) => {
            let unknown = decoded.unknown.iter();
            common.ignored = unknown.map(|field| format!("{what}: {field}")).collect();
            return Some(decoded.conf);
        }
        Err(EntryError::NoConfigMap | EntryError::NoEntry) => {}
        Err(EntryError::Request(error)) => common.known::<()>(&what, Err(error))?,
        Err(error) => {
            let error = error_reporter::Report::new(error);
            common.unreadable.push(format!("{what}: {error}"));
        }
    }
    None
}

/// Runs a command in every agent whose container runs.
async fn exec(
    cluster: &Cluster,
    agents: &BTreeMap<String, AgentPod>,
    command: impl Fn(&AgentPod) -> Vec<String>,
    mut on_end: impl FnMut(&AgentPod, Result<ExecOutput, ExecError>),
) {
    let runs = |pod: &&AgentPod| pod.waits_for.is_none() && pod.phase == "Running";
    let mut same = BTreeMap::<_, Vec<_>>::new();
    for pod in agents.values().filter(runs) {
        same.entry(command(pod)).or_default().push(pod);
    }
    for (command, pods) in same {
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let limits = ExecLimits::default();
        cluster.exec_each(pods, &command, limits, &mut on_end).await;
    }
}

fn answer(output: Result<ExecOutput, ExecError>) -> Result<AgentAnswer, String> {
    let output = output.map_err(|error| error_reporter::Report::new(error).to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|error| match output.message().as_str() {
        "" => format!("its answer cannot be read: {error}"),
        stderr => format!("exit code {}: {stderr}", output.exit_code),
    })
}

impl Observed {
    fn of(cluster: &Cluster, arguments: &CheckArguments) -> Self {
        Self {
            server: cluster.version.text.clone(),
            namespace: arguments.namespace.clone(),
            ..Self::default()
        }
    }

    async fn read_all(&mut self, cluster: &Cluster, conf: &MeshConf) {
        self.nodes = self
            .list(cluster, "/api/v1/nodes", Selector::default())
            .await;
        self.daemon_sets = self
            .list::<DaemonSet>(cluster, "/apis/apps/v1/daemonsets", Selector::default())
            .await;
        self.pods = self.decisions(cluster, conf).await;
    }

    /// The decisions for all pods, page by page: their facts are not kept.
    async fn decisions(&mut self, cluster: &Cluster, conf: &MeshConf) -> Option<PodDecisions> {
        let mut decisions = PodDecisions::default();
        let mut unreadable = Vec::new();
        let namespaces: BTreeMap<_, _> = if conf.needs_namespaces() {
            let namespaces =
                self.list::<Namespace>(cluster, "/api/v1/namespaces", Selector::default());
            let namespaces = namespaces.await.into_iter().flatten();
            namespaces.map(|each| (each.name.clone(), each)).collect()
        } else {
            BTreeMap::new()
        };
        let pods = cluster.each_object("/api/v1/pods", Selector::default(), |pod| match pod {
            Ok(CompletePod(mut pod)) => {
                if let Ok(facts) = &mut pod.facts
                    && let Some(namespace) = namespaces.get(&facts.namespace)
                {
                    namespace.clone().add_to(facts);
                }
                decisions.add(&pod, conf);
            }
            Err(reason) => unreadable.push(format!("pod {reason}")),
        });
        let pods = pods.await;
        let known = self.known("pods", pods);
        self.unreadable.extend(unreadable);
        known.map(|()| decisions)
    }

    async fn list<O: Object>(
        &mut self,
        cluster: &Cluster,
        path: &str,
        selector: Selector<'_>,
    ) -> Option<Vec<O>> {
        let what = path.rsplit('/').next().unwrap_or(path);
        let listed = self.known(what, cluster.list(path, selector).await);
        let Listed {
            objects,
            unreadable,
        } = listed?;
        self.unreadable.extend(unreadable);
        Some(objects)
    }

    /// The result of a request; a failed one is a finding.
    fn known<T>(&mut self, what: &str, result: Result<T, ApiError>) -> Option<T> {
        result
            .map_err(|error| {
                let error = error_reporter::Report::new(error);
                self.unlisted.push(format!("cannot read {what}: {error}"));
            })
            .ok()
    }
}
