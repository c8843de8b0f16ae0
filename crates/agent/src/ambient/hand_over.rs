//! The socket on which plugins pass the network namespaces of pods that start.

use std::fs::File;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::{
    ENROLMENT_TIMEOUT, Enrolment, EnrolmentAnswer, EnrolmentRefusal, MAX_ADDRESSES,
    MAX_ENROLMENT_BYTES, PROTOCOL_VERSION,
};
use mesh_cni_kube::pod::{Pod, PodName};
use mesh_cni_netns::NetNs;
use nix::unistd::geteuid;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::PAUSE;
use super::listener::{Connection, Listener};
use crate::error_chain;
use crate::kube::lookup::FactsLookup;

/// How many plugins are answered at the same time. Others wait.
const MAX_PLUGINS: usize = 64;

/// How long a plugin may take from connecting to its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a plugin's pod may be missing from the watch.
const POD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an enrolment may take from the connection on, so that the plugin still gets the answer.
const ANSWER_TIMEOUT: Duration = ENROLMENT_TIMEOUT.saturating_sub(Duration::from_millis(700));

/// A pod that starts. The answer is sent to its plugin.
pub(crate) struct HandOver {
    pub(crate) enrolment: Enrolment,
    pub(crate) netns: NetNs,
    /// When the plugin must have its answer.
    pub(crate) until: Instant,
    pub(crate) answer: oneshot::Sender<Result<(), EnrolmentRefusal>>,
}

impl HandOver {
    /// The pod with all facts, which the watch may not have yet.
    pub(super) async fn pod(&self, lookup: &FactsLookup) -> Option<Arc<Pod>> {
        let Enrolment {
            namespace,
            name,
            uid,
            ..
        } = &self.enrolment;
        let name = PodName::new(namespace, name);
        let found = lookup.store.wait_for(&name, uid.as_deref(), POD_TIMEOUT);
        Some(lookup.completed(found.await?).await)
    }
}

/// Receives namespaces and sends answers, until it is dropped.
pub(crate) async fn serve(listener: Arc<Listener>, received: mpsc::Sender<HandOver>) {
    let places = Arc::new(Semaphore::new(MAX_PLUGINS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return pending().await;
        };
        match listener.accept().await {
            Ok(connection) => {
                let received = received.clone();
                tokio::spawn(async move {
                    exchange(&connection, &received).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!("ambient: plugins cannot connect: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn exchange(connection: &Connection, received: &mpsc::Sender<HandOver>) {
    let until = Instant::now() + ANSWER_TIMEOUT;
    let result = match timeout(REQUEST_TIMEOUT, request(connection)).await {
        Ok(Ok((enrolment, netns))) => enrol(enrolment, netns, until, received).await,
        Ok(Err(refusal)) => Err(refusal),
        Err(_elapsed) => Err(invalid("no request in time")),
    };
    let answer = match result {
        Ok(()) => EnrolmentAnswer::Enrolled,
        Err(refusal) => EnrolmentAnswer::Refused(refusal),
    };
    let json = serde_json::to_vec(&answer).unwrap_or_default();
    // A plugin that has ended needs no answer.
    drop(connection.send(&json, &[]));
}

async fn enrol(
    enrolment: Enrolment,
    netns: NetNs,
    until: Instant,
    received: &mpsc::Sender<HandOver>,
) -> Result<(), EnrolmentRefusal> {
    let (answer, answered) = oneshot::channel();
    let enrolled = async {
        let hand_over = HandOver {
            enrolment,
            netns,
            until,
            answer,
        };
        // It fails while the agent stops.
        received.send(hand_over).await.ok()?;
        answered.await.ok()
    };
    let stopping = || EnrolmentRefusal {
        reason: "the agent stops".to_owned(),
        remedy: "nothing to do: the kubelet tries again".to_owned(),
        is_temporary: true,
    };
    enrolled.await.unwrap_or_else(|| Err(stopping()))
}

/// The request of a plugin. It must run as the user of the agent, which is root.
async fn request(connection: &Connection) -> Result<(Enrolment, NetNs), EnrolmentRefusal> {
    if !connection
        .peer_user()
        .is_ok_and(|user| user == geteuid().as_raw())
    {
        return Err(invalid("the sender is another user than the agent"));
    }
    let received = connection.receive(MAX_ENROLMENT_BYTES).await;
    let received = received.map_err(|error| invalid(&error_chain(&error)))?;
    let datagram = received.ok_or_else(|| invalid("the connection ended"))?;
    if datagram.is_truncated {
        return Err(invalid("the request is too large"));
    }
    let enrolment: Enrolment =
        serde_json::from_slice(&datagram.bytes).map_err(|error| invalid(&error_chain(&error)))?;
    if enrolment.version > PROTOCOL_VERSION {
        return Err(invalid("the plugin is newer than the agent"));
    }
    if enrolment.addresses.is_empty() || enrolment.addresses.len() > MAX_ADDRESSES {
        let count = enrolment.addresses.len();
        return Err(invalid(&format!(
            "{count} addresses, instead of 1 to {MAX_ADDRESSES}"
        )));
    }
    let mut descriptors = datagram.descriptors.into_iter();
    let (Some(netns), None) = (descriptors.next(), descriptors.next()) else {
        return Err(invalid("exactly one descriptor is required"));
    };
    let opened = NetNs::from_file(File::from(netns));
    let netns = opened.map_err(|error| invalid(&error_chain(&error)))?;
    if NetNs::current().is_ok_and(|own| own.is_same(&netns)) {
        return Err(invalid("it is the network namespace of the agent"));
    }
    Ok((enrolment, netns))
}

fn invalid(reason: &str) -> EnrolmentRefusal {
    EnrolmentRefusal {
        reason: format!("the request of the plugin is invalid: {reason}"),
        remedy: "use the same version of mesh-cni for the plugin and the agent".to_owned(),
        is_temporary: false,
    }
}
