//! The routes: which listener serves which path, and the response to each request.

use std::sync::Arc;

use http::request::Parts;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS};
use hyper::{Method, StatusCode, Uri};
use maud::Markup;
use mesh_cni_agent_api::{
    AgentStatus, BackendStatus, ErrorBody, MAX_LISTED_PODS, MAX_REPORT_BYTES, PodAnswer, Report,
    path,
};
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::is_dns_subdomain;
use mesh_cni_text::escaped_lines;
use serde::Serialize;

use super::host;
use super::page::{self, WalkQuery};
use super::server::{Handler, HttpRequest, HttpResponse, busy, plain, response};
use crate::ambient::AmbientStates;
use crate::kube::lookup::{FactsError, FactsLookup};
use crate::kube::store::PodStore;
use crate::live_rules::LiveRulesReader;
use crate::log;
use crate::metrics::{CurrentState, METRICS_TYPE, Metrics};
use crate::pod_list::Start;
use crate::readiness::{Check, Readiness, stale_watch, summary};
use crate::repair::{PodNamespaces, RepairCounters};
use crate::reported::ReportedPods;
use crate::warnings::Warnings;
use crate::watch_progress::WatchKind;
use mesh_cni_kube::pod::PodName;

/// The size of the largest page, in bytes. The parts of a page are limited too, so that this is enough
/// for each pod that a node can run.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

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
    pub(crate) namespaces: Arc<PodNamespaces>,
    pub(crate) live_rules: LiveRulesReader,
    /// The ADDs that plugins reported.
    pub(crate) reported: ReportedPods,
    /// Whether this agent watches pods. Otherwise it knows them only from reports.
    pub(crate) watches_pods: bool,
    /// The results of repair; `None` if this agent does not repair.
    pub(crate) repair: Option<Arc<RepairCounters>>,
    /// The pods in ambient mode; `None` if this agent does not serve it.
    pub(crate) ambient: Option<Arc<AmbientStates>>,
    /// Warnings that wait for their Events; `None` if this agent does not watch pods.
    pub(crate) warnings: Option<Arc<Warnings>>,
}

/// A listener, which decides which paths are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The Unix socket: every path. Only root can connect to it, so only it serves what names pods.
    Socket,
    /// The health port: `/healthz` and `/readyz`.
    Health,
    /// The metrics port: `/metrics`.
    Metrics,
}

/// Responds to the requests of one listener.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) listener: Listener,
    pub(crate) agent: Arc<Agent>,
}

impl Listener {
    /// Its name in flags, metrics and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Health => "health",
            Self::Metrics => "metrics",
        }
    }
}

impl Handler for Routes {
    /// Only a report has a body.
    fn max_body(&self, request: &Parts) -> usize {
        let is_report = self.listener == Listener::Socket
            && request.method == Method::POST
            && request.uri.path() == path::REPORTS;
        if is_report { MAX_REPORT_BYTES } else { 0 }
    }

    async fn respond(&self, request: HttpRequest) -> HttpResponse {
        let (request, body) = request.into_parts();
        let segments: Vec<&str> = request.uri.path().split('/').skip(1).collect();
        let get = request.method == Method::GET || request.method == Method::HEAD;
        let agent = &self.agent;
        match (self.listener, segments.as_slice()) {
            (Listener::Socket | Listener::Metrics, ["metrics"]) if get => agent.metrics(),
            (Listener::Socket | Listener::Health, ["healthz"]) if get => {
                plain(StatusCode::OK, "ok")
            }
            (Listener::Socket | Listener::Health, ["readyz"]) if get => agent.ready(),
            (Listener::Socket | Listener::Health, ["readyz", check]) if get => agent.check(check),
            (Listener::Socket, segments) => agent.respond(&request, segments, &body).await,
            _ => not_found(),
        }
    }
}

impl Agent {
    /// Responds to a request for a path that only the socket serves.
    async fn respond(&self, request: &Parts, segments: &[&str], body: &[u8]) -> HttpResponse {
        let api = segments.first() == Some(&"v1");
        if !host::is_local(request, api) {
            let why = "the request names another host than this one: use `localhost`";
            return plain(StatusCode::MISDIRECTED_REQUEST, why);
        }
        let uri = &request.uri;
        match (&request.method, segments) {
            (&Method::POST, ["v1", "reports"]) => self.report(body),
            (&Method::GET | &Method::HEAD, segments) => match segments {
                ["v1", "status"] => json(StatusCode::OK, &self.status()),
                ["v1", "pods", namespace, name] => {
                    let name = PodName::new(namespace, name);
                    self.pod(&name, parameter(uri, "uid")).await
                }
                ["v1", "pods"] => self.pods(uri).await,
                [""] => self.node_page(uri).await,
                ["pods", namespace, name] => self.pod_page(&PodName::new(namespace, name)).await,
                ["walk"] => self.walk_page(uri).await,
                _ => not_found(),
            },
            _ => not_found(),
        }
    }

    fn status(&self) -> AgentStatus {
        let checks = self.readiness.statuses();
        let (state, why) = summary(&checks, &self.degradations());
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
            ambient: self.ambient.as_ref().map(|states| states.status()),
            warnings: self.metrics.warnings(),
        }
    }

    async fn node_page(&self, uri: &Uri) -> HttpResponse {
        let first = parameter(uri, "from").and_then(|from| from.parse().ok());
        let first = Start::Index(first.unwrap_or_default());
        let (first, pods) = self.list(first, page::PODS).await;
        html(&page::node(&self.status(), first, &pods))
    }

    async fn pod_page(&self, name: &PodName) -> HttpResponse {
        let Some(pod) = self.store.named(name) else {
            return plain(StatusCode::NOT_FOUND, "no such pod on this node");
        };
        let pod = self.lookup.completed(pod).await;
        match self.live_rules.read(&pod).await {
            Some(live) => html(&page::pod(&pod, &self.conf, &live)),
            None => busy("the live rules of another pod are being read"),
        }
    }

    async fn walk_page(&self, uri: &Uri) -> HttpResponse {
        let query = WalkQuery::parse(uri.query().unwrap_or_default());
        let mut pod = query.pod_name().and_then(|name| self.store.named(&name));
        if let Some(known) = pod {
            pod = Some(self.lookup.completed(known).await);
        }
        html(&page::walk(&query, pod.as_deref(), &self.conf))
    }

    /// What works less well than it should, while the agent answers.
    fn degradations(&self) -> Vec<String> {
        let stale = self.metrics.watches.stale().map(stale_watch);
        stale
            .into_iter()
            .chain(self.readiness.degradations())
            .collect()
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
        lines.extend(self.degradations());
        plain(ready_code(self.readiness.is_ready()), &lines.join("\n"))
    }

    fn check(&self, name: &str) -> HttpResponse {
        match Check::named(name).and_then(|check| self.readiness.get(check)) {
            Some(state) => plain(ready_code(state.ready), &state.detail),
            None => plain(StatusCode::NOT_FOUND, "this agent has no such check"),
        }
    }

    fn metrics(&self) -> HttpResponse {
        let text = self.metrics.text(&CurrentState {
            ready: self.readiness.is_ready(),
            degraded: !self.readiness.degradations().is_empty(),
            pods: self.store.count(),
            large_pods: self.store.large(),
            broken_pods: self.repair.as_ref().map(|repair| repair.broken()),
            ambient: self.ambient.as_ref().map(|states| states.status()),
        });
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

    /// Responds to a request for a part of the list, or for the pod with a UID, which is all that the
    /// control group of a process contains.
    async fn pods(&self, uri: &Uri) -> HttpResponse {
        let mut start = None;
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "uid" => return self.pod_by_uid(&value).await,
                "after" => {
                    let Some((namespace, name)) = value.split_once('/') else {
                        let message = "the parameter `after` is not NAMESPACE/NAME";
                        return failure(StatusCode::BAD_REQUEST, message);
                    };
                    start = Some(PodName::new(namespace, name));
                }
                _ => {}
            }
        }
        let start = start.as_ref().map_or(Start::Index(0), Start::After);
        json(StatusCode::OK, &self.list(start, MAX_LISTED_PODS).await.1)
    }

    async fn pod_by_uid(&self, uid: &str) -> HttpResponse {
        if uid.is_empty() {
            let message = "the parameter `uid` is empty";
            return failure(StatusCode::BAD_REQUEST, message);
        }
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
                self.reported.add(&report);
                if let Some(warnings) = &self.warnings {
                    warnings.add(&report);
                }
                plain(StatusCode::ACCEPTED, "accepted")
            }
            Err(error) => failure(StatusCode::BAD_REQUEST, &crate::error_chain(&error)),
        }
    }
}

fn not_found() -> HttpResponse {
    plain(StatusCode::NOT_FOUND, "not found")
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
    if text.len() > MAX_PAGE_BYTES {
        let why = "the page is too large; use `mesh-cnictl` on the node";
        return plain(StatusCode::INTERNAL_SERVER_ERROR, why);
    }
    let mut response = response(StatusCode::OK, "text/html; charset=utf-8", text);
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, page::SECURITY_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
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
