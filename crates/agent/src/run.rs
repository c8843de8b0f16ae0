//! Starts the parts of the agent and runs them until a signal stops the process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::BackendStatus;
use mesh_cni_netns::{Backend, BackendChoice, Xtables, available, has_ipv6};
use mesh_cni_plan::{BackendName, PodSourceName};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::http::limits::Limits;
use crate::http::port;
use crate::http::routes::{Agent, Listener};
use crate::http::socket::{ListenError, Socket};
use crate::kube::lookup::FactsLookup;
use crate::kube::namespaces::NamespaceKeys;
use crate::kube::pods::{Pods, UsedFields};
use crate::kube::reflector::{Reflector, Update};
use crate::kube::store::PodStore;
use crate::live_rules::LiveRulesReader;
use crate::metrics::Metrics;
use crate::other_meshes::OtherMeshes;
use crate::readiness::{Check, CheckState, Readiness};
use crate::repair::{PodNamespaces, RepairCounters, RepairSettings, Repairer};
use crate::reported::ReportedPods;
use crate::settings::ServiceSettings;
use crate::warnings::Warnings;
use crate::watch_progress::WatchKind;
use crate::{ambient, error_chain, install, log, shutdown, taint, warnings};
use mesh_cni_kube::api::Api;
use mesh_cni_kube::namespace::Namespace;
use mesh_cni_kube::pod::Pod;

/// How the API server sees the agent.
const USER_AGENT: &str = concat!("mesh-cni-agent/", env!("CARGO_PKG_VERSION"));

/// Why the agent did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The event loop or a signal handler cannot be set up.
    #[error("cannot start the agent")]
    Start(#[source] std::io::Error),
    /// The socket cannot be created, or belongs to another agent.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The directory of the pods in ambient mode cannot be created.
    #[error("cannot create the directory `ambient` in the run directory")]
    Records(#[source] std::io::Error),
}

impl ServiceError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Start(_) => "allow the process to use epoll, sockets and signals",
            Self::Listen(ListenError::InUse(_) | ListenError::TakenOver(_)) => {
                "stop the other agent, or use another --cni-agent-run-dir"
            }
            Self::Listen(ListenError::NotASocket(_)) => "remove the file",
            Self::Listen(ListenError::Io { .. }) | Self::Records(_) => {
                "run as a user who may write there, on a file system that is not read-only"
            }
        }
    }
}

/// Runs the agent until SIGTERM or SIGINT. Everything stays installed.
pub fn run(mut settings: ServiceSettings) -> Result<(), ServiceError> {
    settings.conf = settings.conf.on_kernel(has_ipv6);
    log::start(settings.log_format, settings.conf.plugin_log_level);
    let limits = settings.limits.clone();
    let limits = limits.with_descriptors(raise_descriptor_limit());
    let socket = Socket::listen(&settings.run_dir)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServiceError::Start)?;
    let result = runtime.block_on(serve(settings, limits, socket));
    // The installing thread may be stopped at any point of its work.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(
    settings: ServiceSettings,
    limits: Limits,
    socket: Socket,
) -> Result<(), ServiceError> {
    let needs_pods = needs_pods(&settings);
    let checks = Check::ALL.into_iter().filter(|check| match check {
        Check::Install => settings.install.is_some(),
        Check::Watch => needs_pods,
        Check::Socket => true,
    });
    let agent = Arc::new(agent(&settings, Readiness::new(checks)));
    let mut tasks = JoinSet::new();
    listen(&settings, &limits, &agent, &mut tasks);
    let serves_socket = socket.serve(limits, Arc::clone(&agent));
    if needs_pods {
        watch(&settings, &agent, &mut tasks);
    }
    if let Some(waiting) = &agent.warnings {
        tasks.spawn(warnings::create_events(
            Arc::clone(waiting),
            Arc::clone(&agent),
        ));
    }
    if let Some(repairer) = repairer(&settings, &agent) {
        tasks.spawn(repairer.run());
    }
    if let (Some(ambient), Some(states)) = (settings.ambient.clone(), agent.ambient.clone()) {
        let backend = repair_backend(settings.conf.backend);
        let server = ambient::Server::new(ambient, &settings.run_dir, &agent, backend, states);
        tasks.spawn(server.map_err(ServiceError::Records)?.run());
    } else if agent.watches_pods {
        tasks.spawn(ambient::remove_unused_probe_tables(Arc::clone(&agent)));
    }
    if let Some(key) = settings.taint {
        tasks.spawn(taint::keep_removed(key, Arc::clone(&agent)));
    }
    if let Some(install) = settings.install {
        let readiness = Arc::clone(&agent.readiness);
        tasks.spawn(install::keep(
            install,
            readiness,
            Arc::clone(&agent.metrics),
        ));
    }
    info!(node = agent.node, "agent started");
    tokio::select! {
        signal = shutdown::terminated() => {
            let signal = signal.map_err(ServiceError::Start)?;
            info!("{signal}: the agent stops, everything stays installed");
        }
        error = serves_socket => return Err(error.into()),
    }
    tasks.shutdown().await;
    Ok(())
}

/// Whether the plugin requests pods from this agent, or repair or ambient mode needs them.
fn needs_pods(settings: &ServiceSettings) -> bool {
    let source = settings.conf.pod_source;
    matches!(source, PodSourceName::Agent | PodSourceName::Auto)
        || settings.repair.is_some()
        || settings.ambient.is_some()
}

fn repairer(settings: &ServiceSettings, agent: &Agent) -> Option<Repairer> {
    Some(Repairer {
        settings: settings.repair.clone()?,
        conf: settings.conf.clone(),
        backend: repair_backend(settings.conf.backend),
        node: settings.node_name.clone(),
        lookup: agent.lookup.clone(),
        readiness: Arc::clone(&agent.readiness),
        counters: Arc::clone(agent.repair.as_ref()?),
        namespaces: Arc::clone(&agent.namespaces),
    })
}

fn agent(settings: &ServiceSettings, readiness: Readiness) -> Agent {
    let store = Arc::new(PodStore::new(Pods::new(used_fields(settings))));
    let metrics = Arc::new(Metrics::new());
    let backend = backend_status(settings);
    if let Some(name) = &backend.name {
        metrics.backend(name);
    }
    let warnings = needs_pods(settings).then(Arc::<Warnings>::default);
    let others = OtherMeshes::new(Arc::clone(&store), Arc::clone(&metrics), warnings.clone());
    let namespaces = PodNamespaces::new(settings.proc.clone(), Arc::clone(&store), others);
    let namespaces = Arc::new(namespaces);
    Agent {
        node: settings.node_name.clone(),
        readiness: Arc::new(readiness),
        lookup: FactsLookup {
            store: Arc::clone(&store),
            api: Arc::new(Api::new(settings.api.clone(), USER_AGENT)),
            metrics: Arc::clone(&metrics),
        },
        store,
        metrics,
        backend,
        conf: settings.conf.clone(),
        live_rules: LiveRulesReader::new(Arc::clone(&namespaces)),
        namespaces,
        reported: ReportedPods::new(!needs_pods(settings)),
        watches_pods: needs_pods(settings),
        repair: settings
            .repair
            .as_ref()
            .map(|settings| Arc::new(RepairCounters::new(settings))),
        ambient: settings.ambient.is_some().then(Arc::default),
        warnings,
    }
}

fn used_fields(settings: &ServiceSettings) -> UsedFields {
    let conf = &settings.conf;
    let policy = conf.policy();
    let labels = policy.namespace_label_keys().map(str::to_owned);
    let annotations: BTreeSet<_> = conf.namespace_annotations().map(str::to_owned).collect();
    UsedFields {
        namespaces: NamespaceKeys {
            labels: policy.needs_namespace_labels().then(|| labels.collect()),
            annotations: Some(annotations).filter(|keys| !keys.is_empty()),
        },
        init_containers: settings
            .repair
            .iter()
            .flat_map(RepairSettings::validations)
            .map(|validation| validation.name.to_owned())
            .collect(),
    }
}

/// The back end that works here.
fn backend_status(settings: &ServiceSettings) -> BackendStatus {
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let name = settings.conf.backend;
    match available(&xtables, choice(name)) {
        Ok(backend) => BackendStatus {
            name: Some(backend.to_string()),
            detail: format!("the first that works of `{name}`"),
        },
        Err(error) => BackendStatus {
            name: None,
            detail: error_chain(&error),
        },
    }
}

fn choice(name: BackendName) -> BackendChoice {
    match name {
        BackendName::Auto => BackendChoice::Auto,
        BackendName::Netlink => BackendChoice::Only(Backend::Netlink),
        BackendName::NftNative => BackendChoice::Only(Backend::NftNative),
        BackendName::IptablesNft => BackendChoice::Only(Backend::IptablesNft),
        BackendName::IptablesLegacy => BackendChoice::Only(Backend::IptablesLegacy),
    }
}

/// The back end of repair. Netlink writes what `iptables-nft` writes, without a program that the
/// agent's image may not have.
fn repair_backend(name: BackendName) -> BackendChoice {
    match name {
        BackendName::IptablesNft => BackendChoice::Only(Backend::Netlink),
        other => choice(other),
    }
}

/// Listens on the ports, each as soon as it is free.
fn listen(
    settings: &ServiceSettings,
    limits: &Limits,
    agent: &Arc<Agent>,
    tasks: &mut JoinSet<()>,
) {
    for (address, listener) in [
        (settings.health_addr, Listener::Health),
        (settings.metrics_addr, Listener::Metrics),
    ] {
        if let Some(address) = address {
            let (limits, agent) = (limits.clone(), Arc::clone(agent));
            tasks.spawn(async move {
                port::serve(address, listener, limits, agent).await;
            });
        }
    }
}

/// Allows this process as many open files as it may have, and returns how many these are. Connections
/// to the ports must never use up the descriptors that the socket needs.
fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(hard)
    });
    let limit = limit.or_else(|error| {
        warn!("the limit of open files cannot be raised: {error}");
        getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _hard)| soft)
    });
    limit.map_or(0, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

fn watch(settings: &ServiceSettings, agent: &Arc<Agent>, tasks: &mut JoinSet<()>) {
    agent.metrics.watches.started(WatchKind::Pods);
    let pods = Reflector {
        api: Arc::clone(&agent.lookup.api),
        path: "/api/v1/pods",
        // A pod that has ended needs no rules.
        field_selector: Some(format!(
            "spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed",
            settings.node_name
        )),
        metrics: Arc::clone(&agent.metrics),
        on_update: {
            let agent = Arc::clone(agent);
            move |update| on_pod_update(&agent, update)
        },
    };
    tasks.spawn(pods.run());
    if agent.store.keeps_namespaces() {
        agent.metrics.watches.started(WatchKind::Namespaces);
        let namespaces = Reflector {
            api: Arc::clone(&agent.lookup.api),
            path: "/api/v1/namespaces",
            field_selector: None,
            metrics: Arc::clone(&agent.metrics),
            on_update: {
                let agent = Arc::clone(agent);
                move |update| on_namespace_update(&agent, update)
            },
        };
        tasks.spawn(namespaces.run());
    }
}

fn on_pod_update(agent: &Agent, update: Update<Pod>) {
    match update {
        Update::Event(event) => agent.store.apply(event),
        Update::Received => on_watch_received(agent, WatchKind::Pods),
        Update::Failed(message) => on_watch_failure(agent, "the pods of this node", &message),
    }
}

fn on_namespace_update(agent: &Agent, update: Update<Namespace>) {
    match update {
        Update::Event(event) => agent.store.apply_namespace(event),
        Update::Received => on_watch_received(agent, WatchKind::Namespaces),
        Update::Failed(message) => on_watch_failure(agent, "the namespaces", &message),
    }
}

/// The agent is ready when the first list of each kind is complete.
fn on_watch_received(agent: &Agent, kind: WatchKind) {
    agent.metrics.watches.received(kind);
    let is_known = |kind| agent.metrics.watches.age(kind).is_some();
    if is_known(WatchKind::Pods)
        && (!agent.store.keeps_namespaces() || is_known(WatchKind::Namespaces))
    {
        let state = CheckState::ready("the pods of this node are known");
        agent.readiness.set(Check::Watch, state);
    }
}

/// What is known stays known while the API server is unavailable, so the agent stays ready after the
/// first complete lists.
fn on_watch_failure(agent: &Agent, what: &str, message: &str) {
    let state = agent.readiness.get(Check::Watch);
    if !state.is_some_and(|state| state.ready) {
        let detail = format!("{what} are not known yet: {message}");
        agent
            .readiness
            .set(Check::Watch, CheckState::not_ready(detail));
    }
}
