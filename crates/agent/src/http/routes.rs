//! What is answered where: paths to answers, the same for every socket, each with its own set.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::is_dns_subdomain;
use serde::Serialize;
use serde_json::json;

use super::page;
use crate::http::server::{Answer, Asked, answer, plain};
use crate::kube::facts::{Facts, FactsAnswer};
use crate::kube::pod::PodName;
use crate::kube::store::Directory;
use crate::metrics::{METRICS_TYPE, Metrics};
use crate::readiness::{Board, Check, Standing};
use crate::repair::Tally;
use crate::report::Report;
use crate::status::{BackendStatus, Status, checks, judge};
use crate::{live, log};

/// What the answers are made of.
pub(crate) struct Agent {
    pub(crate) node: String,
    pub(crate) board: Arc<Board>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) facts: Facts,
    pub(crate) backend: BackendStatus,
    /// The plugin's configuration, by which the page decides as an ADD would.
    pub(crate) conf: MeshConf,
    /// Where processes of the node are seen.
    pub(crate) proc: PathBuf,
    /// How repair stands, where this agent repairs.
    pub(crate) repair: Option<Arc<Tally>>,
}

/// Which paths a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The Unix socket: everything.
    Socket,
    /// The health port on a loopback address: what people of this node may see besides the probes.
    Health,
    /// The health port on any other address: the kubelet's probes alone.
    Probes,
    /// The metrics port.
    Metrics,
}

impl Door {
    /// The door of a health port there: the page tells of every pod of the node, so it is for those
    /// who are on it.
    pub(crate) fn of_health(address: SocketAddr) -> Self {
        if address.ip().is_loopback() {
            Self::Health
        } else {
            Self::Probes
        }
    }

    fn probes(self) -> bool {
        self != Self::Metrics
    }

    fn tells_of_pods(self) -> bool {
        matches!(self, Self::Socket | Self::Health)
    }
}

impl Agent {
    /// Answers one request.
    pub(crate) async fn answer(&self, door: Door, asked: Asked) -> Answer {
        let path = asked.uri().path().to_owned();
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        let get = asked.method() == Method::GET || asked.method() == Method::HEAD;
        let socket = door == Door::Socket;
        match steps.as_slice() {
            ["metrics"] if get && matches!(door, Door::Socket | Door::Metrics) => self.metrics(),
            ["healthz"] if get && door.probes() => plain(StatusCode::OK, "ok"),
            ["readyz"] if get && door.probes() => self.ready(),
            ["readyz", check] if get && door.probes() => self.check(check),
            ["v1", "status"] if get && door.tells_of_pods() => json(StatusCode::OK, &self.status()),
            ["v1", "pods", namespace, name] if get && socket => {
                self.pod(namespace, name, asked.uri()).await
            }
            ["v1", "pods"] if get && socket => self.pod_of(asked.uri()).await,
            ["v1", "reports"] if socket && asked.method() == Method::POST => {
                self.report(asked.body())
            }
            [""] if get && door.tells_of_pods() => self.overview(),
            ["pods", namespace, name] if get && door.tells_of_pods() => {
                self.pod_page(namespace, name).await
            }
            ["walk"] if get && door.tells_of_pods() => self.walk(asked.uri()),
            _ => plain(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    pub(crate) fn status(&self) -> Status {
        let checks = checks(&self.board);
        let (state, why) = judge(&checks);
        Status {
            state,
            why,
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION"),
            checks,
            pods: self.directory.count(),
            watch_age_seconds: self.metrics.watch_age().map(|age| age.as_secs_f64()),
            backend: self.backend.clone(),
            repair: self.repair.as_ref().map(|tally| tally.status()),
        }
    }

    fn overview(&self) -> Answer {
        html(page::overview(
            &self.status(),
            &self.directory.all(),
            &self.conf,
        ))
    }

    async fn pod_page(&self, namespace: &str, name: &str) -> Answer {
        let name = PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let Some(pod) = self.directory.named(&name) else {
            return plain(StatusCode::NOT_FOUND, "no such pod is known on this node");
        };
        let live = live::rules(self.proc.clone(), Arc::clone(&pod)).await;
        html(page::pod_page(&pod, &self.conf, &live))
    }

    fn walk(&self, uri: &Uri) -> Answer {
        let asked = page::Asked::parse(uri.query().unwrap_or_default());
        let pod = asked.name().and_then(|name| self.directory.named(&name));
        html(page::walk_page(&asked, pod.as_deref(), &self.conf))
    }

    fn ready(&self) -> Answer {
        let lines = checks(&self.board).into_iter().map(|check| {
            let sign = if check.ready { '+' } else { '-' };
            format!("[{sign}] {}: {}", check.name, check.detail)
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        plain(ready_code(self.board.is_ready()), &text)
    }

    fn check(&self, name: &str) -> Answer {
        match Check::named(name).and_then(|check| self.board.get(check)) {
            Some(standing) => plain(ready_code(standing.is_ready()), standing.words()),
            None => plain(StatusCode::NOT_FOUND, "there is no such check here"),
        }
    }

    fn metrics(&self) -> Answer {
        let text = self
            .metrics
            .text(self.board.is_ready(), self.directory.count());
        answer(StatusCode::OK, METRICS_TYPE, text)
    }

    async fn pod(&self, namespace: &str, name: &str, uri: &Uri) -> Answer {
        let name = PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if ![&name.namespace, &name.name]
            .into_iter()
            .all(|part| is_dns_subdomain(part))
        {
            return refuse(
                StatusCode::BAD_REQUEST,
                "no names of Kubernetes in the path",
            );
        }
        let uid = query(uri, "uid");
        match self.facts.about(&name, uid).await {
            FactsAnswer::Known(facts) => json(StatusCode::OK, &facts),
            FactsAnswer::NoPod => refuse(
                StatusCode::NOT_FOUND,
                &format!("the API server knows no pod {name}"),
            ),
            FactsAnswer::NoNamespace => refuse(
                StatusCode::NOT_FOUND,
                &format!("the API server knows no namespace {}", name.namespace),
            ),
            FactsAnswer::OtherPod(found) => refuse(
                StatusCode::CONFLICT,
                &format!(
                    "pod {name} has UID {found} now, not {}",
                    uid.unwrap_or_default()
                ),
            ),
            FactsAnswer::Unreadable(words) => refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                &format!("pod {name}: {words}"),
            ),
            FactsAnswer::NoApi(words) => refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("pod {name} is not known here yet, and cannot be fetched: {words}"),
            ),
        }
    }

    /// The pod of that UID: what runs in a process's control group is known by nothing else.
    async fn pod_of(&self, uri: &Uri) -> Answer {
        let Some(uid) = query(uri, "uid") else {
            return refuse(StatusCode::BAD_REQUEST, "which pod? `?uid=UID` is missing");
        };
        let pods = self.directory.all();
        match pods.iter().find(|pod| pod.is_of(uid)) {
            Some(pod) => self.pod(&pod.name.namespace, &pod.name.name, uri).await,
            None => refuse(
                StatusCode::NOT_FOUND,
                &format!("no pod of this node has UID {uid}"),
            ),
        }
    }

    fn report(&self, body: &[u8]) -> Answer {
        match Report::parse(body) {
            Ok(report) => {
                self.metrics.added(&report);
                log::forward(&report);
                plain(StatusCode::ACCEPTED, "taken")
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &crate::one_line(&error)),
        }
    }
}

fn ready_code(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let text = serde_json::to_string(value).expect("these types have an image in JSON");
    answer(status, "application/json", text + "\n")
}

fn html(text: String) -> Answer {
    let mut answer = answer(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = HeaderValue::from_static(page::SECURITY_POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

fn refuse(status: StatusCode, words: &str) -> Answer {
    json(status, &json!({"error": words}))
}

/// The value of a parameter, where it has one. UIDs hold no sign that would be escaped.
fn query<'uri>(uri: &'uri Uri, name: &str) -> Option<&'uri str> {
    let mut pairs = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}

impl Standing {
    /// The standing of a check about which a part says these words.
    pub(crate) fn of(ready: bool, words: impl Into<String>) -> Self {
        if ready {
            Self::Ready(words.into())
        } else {
            Self::NotReady(words.into())
        }
    }
}
