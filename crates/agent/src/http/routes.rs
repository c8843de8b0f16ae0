//! The routes: which listener serves which path, and the response to each request.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use maud::Markup;
use mesh_cni_agent_api::{AgentStatus, BackendStatus, ErrorBody, PodAnswer, Report};
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::is_dns_subdomain;
use mesh_cni_text::escaped_lines;
use serde::Serialize;

use super::page::{self, WalkQuery};
use super::server::{HttpRequest, HttpResponse, plain, response};
use crate::kube::lookup::{FactsError, FactsLookup};
use crate::kube::pod::PodName;
use crate::kube::store::PodStore;
use crate::metrics::{METRICS_TYPE, Metrics};
use crate::readiness::{Check, Readiness, degraded, summary};
use crate::repair::RepairCounters;
use crate::warnings::Warnings;
use crate::watch_progress::WatchKind;
use crate::{live_rules, log};

/// What the responses are made from.
pub(crate) struct Agent {
    pub(crate) node: String,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) store: Arc<PodStore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) lookup: FactsLookup,
    pub(crate) backend: BackendStatus,
    /// The plugin's configuration, with which the page decides like an ADD.
    pub(crate) conf: MeshConf,
    /// The directory where the processes of the node are visible.
    pub(crate) proc: PathBuf,
    /// The results of repair; `None` if this agent does not repair.
    pub(crate) repair: Option<Arc<RepairCounters>>,
    /// Warnings that wait for their Events; `None` if this agent does not watch pods.
    pub(crate) warnings: Option<Arc<Warnings>>,
}

/// A listener, which decides which paths are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The Unix socket: every path.
    Socket,
    /// The health port on a loopback address: the probes, the status and the page.
    Health,
    /// The health port on any other address: only the probes.
    Probes,
    /// The metrics port.
    Metrics,
}

impl Listener {
    /// The health port with that address. The page shows every pod of the node, so only users of the
    /// node may see it.
    pub(crate) fn health(address: SocketAddr) -> Self {
        if address.ip().is_loopback() {
            Self::Health
        } else {
            Self::Probes
        }
    }

    fn serves_probes(self) -> bool {
        self != Self::Metrics
    }

    fn serves_pages(self) -> bool {
        matches!(self, Self::Socket | Self::Health)
    }
}

impl Agent {
    /// Responds to one request.
    pub(crate) async fn respond(&self, listener: Listener, request: HttpRequest) -> HttpResponse {
        let uri = request.uri();
        let segments: Vec<&str> = uri.path().split('/').skip(1).collect();
        let get = request.method() == Method::GET || request.method() == Method::HEAD;
        let socket = listener == Listener::Socket;
        match segments.as_slice() {
            ["metrics"] if get && matches!(listener, Listener::Socket | Listener::Metrics) => {
                self.metrics()
            }
            ["healthz"] if get && listener.serves_probes() => plain(StatusCode::OK, "ok"),
            ["readyz"] if get && listener.serves_probes() => self.ready(),
            ["readyz", check] if get && listener.serves_probes() => self.check(check),
            ["v1", "status"] if get && listener.serves_pages() => {
                json(StatusCode::OK, &self.status())
            }
            ["v1", "pods", namespace, name] if get && socket => {
                let name = PodName::new(namespace, name);
                self.pod(&name, parameter(uri, "uid")).await
            }
            ["v1", "pods"] if get && socket => self.pod_by_uid(parameter(uri, "uid")).await,
            ["v1", "reports"] if socket && request.method() == Method::POST => {
                self.report(request.body())
            }
            [""] if get && listener.serves_pages() => html(&page::node(
                &self.status(),
                &self.store.all_complete(),
                &self.conf,
            )),
            ["pods", namespace, name] if get && listener.serves_pages() => {
                self.pod_page(&PodName::new(namespace, name)).await
            }
            ["walk"] if get && listener.serves_pages() => self.walk_page(uri).await,
            _ => plain(StatusCode::NOT_FOUND, "not found"),
        }
    }

    fn status(&self) -> AgentStatus {
        let checks = self.readiness.statuses();
        let (state, why) = summary(&checks, self.metrics.watches.stale());
        AgentStatus {
            state,
            why,
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            checks,
            pods: self.store.count(),
            watch_age_seconds: self
                .metrics
                .watches
                .age(WatchKind::Pods)
                .map(|age| age.as_secs_f64()),
            backend: self.backend.clone(),
            repair: self.repair.as_ref().map(|counters| counters.status()),
            warnings: self.metrics.warnings(),
        }
    }

    async fn pod_page(&self, name: &PodName) -> HttpResponse {
        let Some(pod) = self.store.named(name) else {
            return plain(StatusCode::NOT_FOUND, "no such pod on this node");
        };
        let pod = self.lookup.completed(pod).await;
        let live =
            live_rules::read(self.proc.clone(), Arc::clone(&self.store), Arc::clone(&pod)).await;
        html(&page::pod(&pod, &self.conf, &live))
    }

    async fn walk_page(&self, uri: &Uri) -> HttpResponse {
        let query = WalkQuery::parse(uri.query().unwrap_or_default());
        let mut pod = query.pod_name().and_then(|name| self.store.named(&name));
        if let Some(known) = pod {
            pod = Some(self.lookup.completed(known).await);
        }
        html(&page::walk(&query, pod.as_deref(), &self.conf))
    }

    fn ready(&self) -> HttpResponse {
        let mut lines: Vec<_> = self
            .readiness
            .statuses()
            .into_iter()
            .map(|check| {
                let sign = if check.ready { '+' } else { '-' };
                format!("[{sign}] {}: {}", check.name, check.detail)
            })
            .collect();
        lines.extend(self.metrics.watches.stale().map(degraded));
        plain(ready_code(self.readiness.is_ready()), &lines.join("\n"))
    }

    fn check(&self, name: &str) -> HttpResponse {
        match Check::named(name).and_then(|check| self.readiness.get(check)) {
            Some(state) => plain(ready_code(state.ready), &state.detail),
            None => plain(StatusCode::NOT_FOUND, "this agent has no such check"),
        }
    }

    fn metrics(&self) -> HttpResponse {
        let ready = self.readiness.is_ready();
        let text = self
            .metrics
            .text(ready, self.store.count(), self.store.large());
        response(StatusCode::OK, METRICS_TYPE, text)
    }

    async fn pod(&self, name: &PodName, uid: Option<&str>) -> HttpResponse {
        if !is_dns_subdomain(&name.namespace) || !is_dns_subdomain(&name.name) {
            let message = "the path does not contain valid Kubernetes names";
            return failure(StatusCode::BAD_REQUEST, message);
        }
        let (status, message) = match self.lookup.facts(name, uid).await {
            Ok(facts) => return json(StatusCode::OK, &PodAnswer::new(facts)),
            Err(FactsError::NoPod) => (
                StatusCode::NOT_FOUND,
                format!("the API server has no pod {name}"),
            ),
            Err(FactsError::NoNamespace) => (
                StatusCode::NOT_FOUND,
                format!("the API server has no namespace {}", name.namespace),
            ),
            Err(FactsError::OtherPod(found)) => (
                StatusCode::CONFLICT,
                format!(
                    "pod {name} has UID {found} now, not {}",
                    uid.unwrap_or_default()
                ),
            ),
            Err(FactsError::Unreadable(error)) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("pod {name}: {error}"),
            ),
            Err(FactsError::Api(error)) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("pod {name} is not known yet, and cannot be requested: {error}"),
            ),
        };
        failure(status, &message)
    }

    /// Responds to a request by UID, which is all that the control group of a process contains.
    async fn pod_by_uid(&self, uid: Option<&str>) -> HttpResponse {
        let Some(uid) = uid else {
            let message = "the parameter `?uid=UID` is missing";
            return failure(StatusCode::BAD_REQUEST, message);
        };
        match self.store.by_uid(uid) {
            Some(pod) => self.pod(&pod.name, Some(uid)).await,
            None => failure(
                StatusCode::NOT_FOUND,
                &format!("no pod of this node has UID {uid}"),
            ),
        }
    }

    fn report(&self, body: &[u8]) -> HttpResponse {
        match Report::from_json(body) {
            Ok(report) => {
                self.metrics.added(&report);
                log::forward(&report);
                if let Some(warnings) = &self.warnings {
                    warnings.add(&report);
                }
                plain(StatusCode::ACCEPTED, "accepted")
            }
            Err(error) => failure(StatusCode::BAD_REQUEST, &crate::error_chain(&error)),
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

fn json(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    let text = serde_json::to_string(value).expect("these types have a JSON form");
    response(status, "application/json", text + "\n")
}

fn html(page: &Markup) -> HttpResponse {
    let text = escaped_lines(&page.0).into_owned();
    let mut response = response(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = HeaderValue::from_static(page::SECURITY_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn failure(status: StatusCode, message: &str) -> HttpResponse {
    let error = message.to_owned();
    json(status, &ErrorBody { error })
}

/// The value of a query parameter, unless it is empty. UIDs have no characters that are escaped.
fn parameter<'uri>(uri: &'uri Uri, name: &str) -> Option<&'uri str> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}
