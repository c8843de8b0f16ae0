//! Puts the parts of the agent together and runs them until the process is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_netns::{Backend, BackendChoice, Xtables, available};
use mesh_cni_plan::{BackendName, PodSourceName};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::http::routes::{Agent, Door};
use crate::http::server;
use crate::http::socket::{self, ListenError};
use crate::kube::api::Api;
use crate::kube::facts::Facts;
use crate::kube::pods::{PodEvent, Pods};
use crate::kube::store::Directory;
use crate::kube::watch::{Feed, Told};
use crate::metrics::Metrics;
use crate::readiness::{Board, Check, Standing};
use crate::repair::{Hands, Repairs, Tally};
use crate::report::MAX_REPORT_BYTES;
use crate::settings::ServiceSettings;
use crate::shutdown::{self, Stop};
use crate::status::BackendStatus;
use crate::{install, log, taint};

/// Why the agent could not begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The runtime, or a signal, could not be set up.
    #[error("the agent cannot begin")]
    Begin(#[source] std::io::Error),
    /// The socket cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A port cannot be had.
    #[error("address {address} cannot be listened on")]
    Port {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

impl ServiceError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Begin(_) => "give the process a working directory for sockets and signals",
            Self::Listen(ListenError::InUse(_)) => {
                "stop the other agent, or give this one another --cni-agent-run-dir"
            }
            Self::Listen(ListenError::NoSocket(_)) => "remove what is there",
            Self::Listen(ListenError::Io { .. }) => {
                "run as a user who may write there, on a file system that is not read-only"
            }
            Self::Port { .. } => {
                "free the port, or choose another with --health-addr or --metrics-addr"
            }
        }
    }
}

/// Runs the agent until SIGTERM or SIGINT. What it put in place stays in place.
pub fn run(settings: ServiceSettings) -> Result<(), ServiceError> {
    log::start(settings.log_format, settings.conf.plugin_log_level);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ServiceError::Begin)?;
    let outcome = runtime.block_on(serve(settings));
    // A thread that installs may be anywhere in its work; it is made for that.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn serve(settings: ServiceSettings) -> Result<(), ServiceError> {
    let (stopper, stop) = Stop::new();
    let watches = needs_pods(&settings);
    let board = Arc::new(Board::new(Check::ALL.into_iter().filter(
        |check| match check {
            Check::Install => settings.install.is_some(),
            Check::Watch => watches,
            Check::Socket => true,
        },
    )));
    let agent = Arc::new(agent(&settings, &board));
    let mut tasks = JoinSet::new();
    listen(&settings, &agent, &mut tasks).await?;
    if watches {
        feed(&settings, &agent, &mut tasks);
    }
    if let Some(repairs) = repairs(&settings, &agent) {
        tasks.spawn(repairs.run());
    }
    if let Some(key) = settings.taint.clone() {
        tasks.spawn(taint::keep_off(key, Arc::clone(&agent)));
    }
    if let Some(install) = settings.install {
        let metrics = Arc::clone(&agent.metrics);
        tasks.spawn(install::keep(install, Arc::clone(&board), metrics, stop));
    }
    info!(node = agent.node, "the agent runs");
    let signal = shutdown::terminated().await.map_err(ServiceError::Begin)?;
    info!("{signal}: the agent stops, and leaves everything in place");
    stopper.order();
    tasks.abort_all();
    Ok(())
}

/// Whether anyone asks this agent for pods, or it looks after them itself.
fn needs_pods(settings: &ServiceSettings) -> bool {
    let asked = matches!(
        settings.conf.pod_source,
        PodSourceName::Agent | PodSourceName::Auto
    );
    asked || settings.repair.is_some()
}

fn repairs(settings: &ServiceSettings, agent: &Agent) -> Option<Repairs> {
    Some(Repairs {
        settings: settings.repair.clone()?,
        conf: settings.conf.clone(),
        choice: repairing_choice(settings.conf.backend),
        node: settings.node_name.clone(),
        directory: Arc::clone(&agent.directory),
        api: Arc::clone(&agent.facts.api),
        metrics: Arc::clone(&agent.metrics),
        board: Arc::clone(&agent.board),
        tally: Arc::clone(agent.repair.as_ref()?),
        hands: Arc::new(Hands::new(settings.proc.clone())),
    })
}

fn agent(settings: &ServiceSettings, board: &Arc<Board>) -> Agent {
    let with_namespaces = settings.conf.policy().needs_namespace_labels();
    let directory = Arc::new(Directory::new(Pods::new(with_namespaces)));
    let metrics = Arc::new(Metrics::new());
    let backend = backend(settings);
    if let Some(name) = &backend.name {
        metrics.backend(name);
    }
    Agent {
        node: settings.node_name.clone(),
        board: Arc::clone(board),
        facts: Facts {
            directory: Arc::clone(&directory),
            api: Arc::new(Api::new(settings.api.clone())),
            metrics: Arc::clone(&metrics),
        },
        directory,
        metrics,
        backend,
        conf: settings.conf.clone(),
        proc: settings.proc.clone(),
        repair: settings.repair.as_ref().map(|it| Arc::new(Tally::new(it))),
    }
}

/// What the plugin will find when it looks for a back end on this node.
fn backend(settings: &ServiceSettings) -> BackendStatus {
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let asked = settings.conf.backend;
    match available(&xtables, choice(asked)) {
        Ok(backend) => BackendStatus {
            name: Some(backend.to_string()),
            detail: format!("the first that works of `{asked}`"),
        },
        Err(error) => BackendStatus {
            name: None,
            detail: crate::one_line(&error),
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

/// The back end of repair. What `iptables-nft` writes, netlink writes as well, without a program that
/// the agent's image need not have.
fn repairing_choice(name: BackendName) -> BackendChoice {
    match name {
        BackendName::IptablesNft => BackendChoice::Only(Backend::Netlink),
        other => choice(other),
    }
}

async fn listen(
    settings: &ServiceSettings,
    agent: &Arc<Agent>,
    tasks: &mut JoinSet<()>,
) -> Result<(), ServiceError> {
    let health = settings.health_addr;
    let health = health.map(|address| (address, Door::of_health(address)));
    let metrics = settings
        .metrics_addr
        .map(|address| (address, Door::Metrics));
    for (address, door) in health.into_iter().chain(metrics) {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServiceError::Port { address, source })?;
        let address = listener.local_addr().map_err(ServiceError::Begin)?;
        info!(%address, ?door, "listens");
        tasks.spawn(open(listener, door, agent));
    }
    let listener = socket::listen(&settings.run_dir)?;
    let listener = UnixListener::from_std(listener).map_err(ServiceError::Begin)?;
    tasks.spawn(open(listener, Door::Socket, agent));
    agent
        .board
        .set(Check::Socket, Standing::of(true, "the socket answers"));
    Ok(())
}

fn open<L: server::Listen + Send + 'static>(
    listener: L,
    door: Door,
    agent: &Arc<Agent>,
) -> impl Future<Output = ()> + Send + 'static + use<L> {
    let agent = Arc::clone(agent);
    server::serve(listener, MAX_REPORT_BYTES, move |asked| {
        let agent = Arc::clone(&agent);
        async move { agent.answer(door, asked).await }
    })
}

fn feed(settings: &ServiceSettings, agent: &Arc<Agent>, tasks: &mut JoinSet<()>) {
    let to = Arc::clone(agent);
    let pods = Feed {
        api: Arc::clone(&agent.facts.api),
        path: "/api/v1/pods",
        fields: Some(format!("spec.nodeName={}", settings.node_name)),
        metrics: Arc::clone(&agent.metrics),
        tell: move |told| hear_pods(&to, told),
    };
    tasks.spawn(pods.run());
    if agent.directory.keeps_namespaces() {
        let to = Arc::clone(agent);
        let namespaces = Feed {
            api: Arc::clone(&agent.facts.api),
            path: "/api/v1/namespaces",
            fields: None,
            metrics: Arc::clone(&agent.metrics),
            tell: move |told| hear_namespaces(&to, told),
        };
        tasks.spawn(namespaces.run());
    }
}

fn hear_pods(agent: &Agent, told: Told<crate::Pod>) {
    match told {
        Told::Event(event) => {
            let complete = matches!(event, PodEvent::ListEnds);
            agent.directory.apply(event);
            if complete {
                let words = "the pods of this node are known";
                agent.board.set(Check::Watch, Standing::of(true, words));
            }
        }
        Told::Heard => agent.metrics.heard(),
        Told::Lost(words) => lost(agent, &words),
    }
}

fn hear_namespaces(agent: &Agent, told: Told<crate::kube::pods::Namespace>) {
    match told {
        Told::Event(event) => agent.directory.apply_namespace(event),
        Told::Heard => {}
        Told::Lost(words) => error!("namespaces: {words}"),
    }
}

/// Pods that are known stay known while the API server is away, so a watch that was complete once
/// keeps the agent ready.
fn lost(agent: &Agent, words: &str) {
    let known = agent
        .board
        .get(Check::Watch)
        .is_some_and(|standing| standing.is_ready());
    if !known {
        agent.board.set(
            Check::Watch,
            Standing::of(
                false,
                format!("the pods of this node are not known yet: {words}"),
            ),
        );
    }
}
