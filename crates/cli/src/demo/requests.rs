//! The requests of the demo: what each must come to, and what it came to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh_cni_netns::NetNs;
use serde::Serialize;

use super::actor::{Answer, Connection, Upstream};
use super::child::Owner;
use super::error::DemoError;
use super::patience::Interrupt;
use super::pod::Pod;
use super::program;

/// How long one request may take, all that it sets off included.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// From where the proxy hands inbound connections on.
const PASSTHROUGH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));

/// One request, and what it must come to.
pub(crate) struct Request<'stage> {
    /// What it is, in a few words.
    pub(crate) title: &'static str,
    /// Whence it is sent.
    pub(crate) from: &'stage NetNs,
    pub(crate) owner: Owner,
    pub(crate) to: SocketAddr,
    pub(crate) path: &'static str,
    /// Itself, then the requests that it sets off.
    pub(crate) wanted: Vec<Hop>,
}

/// A request or one that it set off, as it was seen from both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hop {
    /// The proxy's port; none where the rules let it pass.
    pub(crate) through: Option<u16>,
    /// Where the proxy found it was meant to go.
    pub(crate) original: Option<SocketAddr>,
    /// Who answered, as which user; none where nobody did.
    pub(crate) answered: Option<Answered>,
    /// Who asked, as the answering program saw it.
    pub(crate) asked_by: Option<IpAddr>,
}

/// An answering program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answered {
    pub(crate) by: String,
    pub(crate) user: u32,
}

/// What a request came to.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) title: &'static str,
    pub(crate) to: String,
    pub(crate) hops: Vec<Hop>,
    pub(crate) wanted: Vec<Hop>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Outcome {
    pub(crate) fn as_wanted(&self) -> bool {
        self.hops == self.wanted
    }
}

/// Every request of the demo; `node` is where kubelet lives.
pub(crate) fn all<'stage>(
    node: &'stage NetNs,
    gateway: IpAddr,
    productpage: &'stage Pod,
    reviews: &'stage Pod,
) -> Vec<Request<'stage>> {
    let page = productpage.at(9080);
    let (own, other) = (page.ip(), reviews.at(0).ip());
    let inside = &productpage.sandbox.netns;
    let request = |title, from, owner, to, path, wanted| Request {
        title,
        from,
        owner,
        to,
        path,
        wanted,
    };
    let direct = |by, user, asked_by| vec![hop(None, by, user, asked_by)];
    vec![
        request(
            "reviews asks productpage, which asks reviews",
            &reviews.sandbox.netns,
            Owner::ROOT,
            page,
            "/productpage",
            vec![
                hop(Some((15006, page)), "productpage", Owner::APP, PASSTHROUGH),
                hop(Some((15001, reviews.at(9080))), "reviews", Owner::APP, own),
            ],
        ),
        request(
            "kubelet probes the proxy's health port",
            node,
            Owner::ROOT,
            productpage.at(15021),
            "/healthz/ready",
            direct("proxy", Owner::PROXY, gateway),
        ),
        request(
            "the app asks an excluded port of reviews",
            inside,
            Owner::APP,
            SocketAddr::new(other, 15020),
            "/stats/prometheus",
            direct("reviews", Owner::APP, own),
        ),
        request(
            "the proxy asks its own pod's address",
            inside,
            Owner::PROXY,
            page,
            "/",
            vec![hop(
                Some((15006, page)),
                "productpage",
                Owner::APP,
                PASSTHROUGH,
            )],
        ),
        request(
            "the proxy asks reviews",
            inside,
            Owner::PROXY,
            reviews.at(9080),
            "/reviews/0",
            direct("reviews", Owner::APP, own),
        ),
        request(
            "the app asks its own pod's address",
            inside,
            Owner::APP,
            page,
            "/",
            direct("productpage", Owner::APP, own),
        ),
    ]
}

/// Sends it, and asks the proxy what came its way meanwhile.
pub(crate) fn send(
    request: &Request<'_>,
    connections: impl FnOnce() -> Result<Vec<Connection>, DemoError>,
    interrupt: &Interrupt,
) -> Result<Outcome, DemoError> {
    let to = request.to.to_string();
    let command = request.owner.command(&["client", &to, request.path]);
    let patience = interrupt.patience(REQUEST_LIMIT);
    let finished = program::run(request.from, command, "", patience)?;
    let answer: Option<Answer> = serde_json::from_str(&finished.stdout).ok();
    let error = answer.is_none().then(|| finished.stderr.trim().to_owned());
    Ok(Outcome {
        title: request.title,
        to: format!("{to}{}", request.path),
        hops: hops(answer, &connections()?),
        wanted: request.wanted.clone(),
        error,
    })
}

fn hop(through: Option<(u16, SocketAddr)>, by: &str, user: Owner, asked_by: IpAddr) -> Hop {
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

/// Each answer beside the connection that the proxy saw for it, in the order of both.
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
    let longest = answers.len().max(connections.len());
    let hops = (0..longest).map(|at| {
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
    });
    hops.collect()
}
