//! The two sockets of ambient mode: for ztunnels, and for plugins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_cni_agent_api::AMBIENT_SOCKET_FILE;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info;

use super::hand_over::{self, HandOver};
use super::listener::Listener;
use super::ztunnels::{self, ZtunnelEvent};
use crate::error_chain;
use crate::http::socket::ListenError;

/// Both sockets, as far as they are open.
pub(super) struct Sockets {
    ztunnel: Socket,
    plugin: Socket,
    events: mpsc::Sender<ZtunnelEvent>,
    hand_overs: mpsc::Sender<HandOver>,
}

struct Socket {
    path: PathBuf,
    listener: Option<Arc<Listener>>,
    /// The task that accepts connections.
    task: JoinSet<()>,
}

impl Sockets {
    pub(super) fn new(
        ztunnel: &Path,
        run_dir: &Path,
        events: mpsc::Sender<ZtunnelEvent>,
        hand_overs: mpsc::Sender<HandOver>,
    ) -> Self {
        Self {
            ztunnel: Socket::new(ztunnel.to_owned()),
            plugin: Socket::new(run_dir.join(AMBIENT_SOCKET_FILE)),
            events,
            hand_overs,
        }
    }

    /// Opens those that are not open, and again those that another program removed. Returns what fails.
    pub(super) fn listen(&mut self) -> Option<String> {
        let (events, hand_overs) = (self.events.clone(), self.hand_overs.clone());
        let opened = [
            self.ztunnel
                .open(|listener| ztunnels::accept(listener, events)),
            self.plugin
                .open(|listener| hand_over::serve(listener, hand_overs)),
        ];
        let errors = opened.into_iter().filter_map(Result::err);
        let errors: Vec<_> = errors.map(|error| error_chain(&error)).collect();
        (!errors.is_empty()).then(|| format!("ambient mode: {}", errors.join("; ")))
    }
}

impl Socket {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            listener: None,
            task: JoinSet::new(),
        }
    }

    fn open<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        serve: impl FnOnce(Arc<Listener>) -> F,
    ) -> Result<(), ListenError> {
        if self
            .listener
            .as_ref()
            .is_some_and(|listener| listener.is_reachable())
        {
            return Ok(());
        }
        let listener = Arc::new(Listener::bind(&self.path)?);
        info!("ambient: listening on `{}`", self.path.display());
        self.task = JoinSet::new();
        self.task.spawn(serve(Arc::clone(&listener)));
        self.listener = Some(listener);
        Ok(())
    }
}
