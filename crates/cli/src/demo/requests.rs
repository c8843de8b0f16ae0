//! The requests of the demo, with their expected paths.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh_cni_netns::NetNs;
use mesh_cni_rules::uses_passthrough;
use serde::Serialize;

use super::error::DemoError;
use super::pod::Pod;
use super::process::User;
use super::program;
use super::sidecar::Sidecar;
use super::wait::Interrupt;
use super::workload::{Answer, Connection, Upstream};

/// The time limit for a request and the requests that it causes.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// The source address of the proxy's connections to the application.
const PASSTHROUGH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));

/// A request, and its expected path.
pub(crate) struct Request<'demo> {
    pub(crate) title: &'static str,
    /// The namespace of the client.
    pub(crate) from: &'demo NetNs,
    pub(crate) user: User,
    pub(crate) to: SocketAddr,
    pub(crate) path: &'static str,
    /// The request itself, then the requests that it causes.
    pub(crate) wanted: Vec<Hop>,
}

/// A request, as the proxy and the server see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hop {
    /// The proxy's port; none if the request was not redirected.
    pub(crate) through: Option<u16>,
    /// The original destination that the proxy read.
    pub(crate) original: Option<SocketAddr>,
    /// The server; none without an answer.
    pub(crate) answered: Option<Answered>,
    /// The client's address, as the server sees it.
    pub(crate) asked_by: Option<IpAddr>,
}

/// The program that answered, and its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answered {
    pub(crate) by: String,
    pub(crate) user: u32,
}

/// A request that was sent, with its actual and its expected path.
#[derive(Debug, Serialize)]
pub(crate) struct SentRequest {
    pub(crate) title: &'static str,
    pub(crate) to: String,
    pub(crate) hops: Vec<Hop>,
    pub(crate) wanted: Vec<Hop>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl SentRequest {
    pub(crate) fn as_wanted(&self) -> bool {
        self.hops == self.wanted
    }
}

/// All requests of the demo. `node` is the kubelet's namespace.
pub(crate) fn all<'demo>(
    node: &'demo NetNs,
    productpage: &'demo Pod,
    reviews: &'demo Pod,
    sidecar: &Sidecar,
) -> Vec<Request<'demo>> {
    let page = productpage.at(9080);
    let own = page.ip();
    let (user, outbound) = (sidecar.user, sidecar.outbound);
    let app = |through, client| hop(through, "productpage", User::APP, client);
    // A proxy that connects to the application from 127.0.0.6 is the destination of connections to its
    // own pod, too.
    let (inbound, to_own) = if uses_passthrough(sidecar.mesh) {
        let inbound = app(Some((sidecar.inbound, page)), PASSTHROUGH);
        (inbound.clone(), inbound)
    } else {
        (app(Some((sidecar.inbound, page)), own), app(None, own))
    };
    let inside = &productpage.sandbox.netns;
    let request = |title, from, user, to, path, wanted| Request {
        title,
        from,
        user,
        to,
        path,
        wanted,
    };
    let direct = |by, user, asked_by| vec![hop(None, by, user, asked_by)];
    vec![
        request(
            "reviews requests productpage, which requests reviews",
            &reviews.sandbox.netns,
            User::ROOT,
            page,
            "/productpage",
            vec![
                inbound,
                hop(
                    Some((outbound, reviews.at(9080))),
                    "reviews",
                    User::APP,
                    own,
                ),
            ],
        ),
        request(
            "the kubelet probes the proxy's health port",
            node,
            User::ROOT,
            productpage.at(sidecar.health),
            "/healthz/ready",
            direct("proxy", user, productpage.gateway()),
        ),
        request(
            "the app requests an excluded port of reviews",
            inside,
            User::APP,
            reviews.at(15020),
            "/stats/prometheus",
            direct("reviews", User::APP, own),
        ),
        request(
            "the proxy requests its own pod's address",
            inside,
            user,
            page,
            "/",
            vec![to_own],
        ),
        request(
            "the proxy requests reviews",
            inside,
            user,
            reviews.at(9080),
            "/reviews/0",
            direct("reviews", User::APP, own),
        ),
        request(
            "the app requests its own pod's address",
            inside,
            User::APP,
            page,
            "/",
            direct("productpage", User::APP, own),
        ),
    ]
}

/// Sends it, and gets the connections that the proxy accepted in the meantime.
pub(crate) fn send(
    request: &Request<'_>,
    connections: impl FnOnce() -> Result<Vec<Connection>, DemoError>,
    interrupt: &Interrupt,
) -> Result<SentRequest, DemoError> {
    let to = request.to.to_string();
    let command = request.user.command(&["client", &to, request.path]);
    let wait = interrupt.wait(REQUEST_LIMIT);
    let finished = program::run(request.from, command, "", wait)?;
    let answer: Option<Answer> = serde_json::from_str(&finished.stdout).ok();
    let error = answer.is_none().then(|| finished.stderr.trim().to_owned());
    Ok(SentRequest {
        title: request.title,
        to: format!("{to}{}", request.path),
        hops: hops(answer, &connections()?),
        wanted: request.wanted.clone(),
        error,
    })
}

fn hop(through: Option<(u16, SocketAddr)>, by: &str, user: User, asked_by: IpAddr) -> Hop {
    Hop {
        through: through.map(|(port, _)| port),
        original: through.map(|(_, original)| original),
        answered: Some(Answered {
            by: by.to_owned(),
            user: user.0,
        }),
        asked_by: Some(asked_by),
    }
}

/// Pairs each answer with the proxy's connection for it; both are in the order of the hops.
fn hops(answer: Option<Answer>, connections: &[Connection]) -> Vec<Hop> {
    let mut answers = Vec::new();
    let mut next = answer;
    while let Some(mut answer) = next {
        next = match answer.upstream.take() {
            Some(Upstream::Answered(upstream)) => Some(*upstream),
            Some(Upstream::Failed { .. }) | None => None,
        };
        answers.push(answer);
    }
    (0..answers.len().max(connections.len()))
        .map(|at| {
            let (answer, connection) = (answers.get(at), connections.get(at));
            Hop {
                through: connection.map(|connection| connection.port),
                original: connection.and_then(|connection| connection.original),
                answered: answer.map(|answer| Answered {
                    by: answer.who.clone(),
                    user: answer.uid,
                }),
                asked_by: answer.map(|answer| answer.peer.ip()),
            }
        })
        .collect()
}
