//! What ADD and CHECK have in common: configuration, log, namespace, and the decision for the pod.

use std::net::IpAddr;

use mesh_cni_netns::{NetNs, Xtables, has_ipv6};
use mesh_cni_plan::{
    Decision, Decoded, Ipv6Mode, MeshConf, Redirection, decide, decide_by_name, ipv6_without_rules,
};
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::{AddRequest, CniError, NetConf, PodArgs};

use crate::addresses;
use crate::error;
use crate::log::{PluginLog, StderrLog};
use crate::pod_source::{self, FactsError, FactsRequest};

/// One ADD or CHECK.
pub(crate) struct Invocation<'request> {
    request: &'request AddRequest,
    /// The pod of the attachment, if it has one.
    pub(crate) pod: Option<PodArgs>,
    pub(crate) conf: MeshConf,
    pub(crate) log: PluginLog,
}

/// The lookup of the pod, which [`Invocation::complete`] completes.
pub(crate) enum PodLookup {
    /// The decision needs no lookup; `None` if the attachment belongs to no Kubernetes pod.
    NotNeeded(Option<Decision>),
    /// The lookup was started, or failed to start.
    Started(Result<FactsRequest, FactsError>),
}

/// What the lookup found.
pub(crate) enum KnownPod {
    /// A decision without facts; `None` if the attachment belongs to no Kubernetes pod.
    Decided(Option<Decision>),
    /// The facts for the decision.
    Facts(Box<PodFacts>),
}

impl<'request> Invocation<'request> {
    /// Decodes the configuration and starts the lookup of the pod, so that the agent works while the
    /// plugin prepares the rest.
    pub(crate) fn new(
        command: &'static str,
        stderr: StderrLog,
        request: &'request AddRequest,
    ) -> Result<(Self, PodLookup), CniError> {
        let Decoded { conf, unknown, .. } = decode(&request.conf)?;
        let conf = conf.on_kernel(has_ipv6);
        let pod = request.args.pod().map_err(|e| error::pod_args(&e))?;
        let lookup = PodLookup::start(&conf, pod.as_ref());
        let subject = subject(command, request, pod.as_ref());
        let log = PluginLog::open(&conf, subject, stderr);
        if !unknown.is_empty() {
            let fields = unknown.join(", ");
            log.warn(&format!(
                "unknown fields of the configuration are ignored: {fields}"
            ));
        }
        let invocation = Self {
            request,
            pod,
            conf,
            log,
        };
        Ok((invocation, lookup))
    }

    /// The attachment's network namespace, which must not be the plugin's own.
    pub(crate) fn namespace(&self) -> Result<NetNs, CniError> {
        let netns = NetNs::open(&self.request.netns).map_err(|e| error::namespace(&e))?;
        if !self.request.netns_override {
            let own = NetNs::current().map_err(|e| error::namespace(&e))?;
            if own.is_same(&netns) {
                return Err(error::own_namespace(&self.request.netns));
            }
        }
        Ok(netns)
    }

    /// Logs why a CHECK without facts passes.
    pub(crate) fn log_unknown(&self, found: &str, unknown: &FactsError) {
        let error = error::facts(unknown);
        let (why, remedy) = (error.msg(), error.details());
        self.log.warn(&format!("{found}: {why} ({remedy})"));
    }

    /// The container ID of the sandbox.
    pub(crate) fn container_id(&self) -> &str {
        self.request.container_id.as_str()
    }

    /// Completes the lookup.
    pub(crate) fn complete(&self, lookup: PodLookup) -> Result<KnownPod, FactsError> {
        match (lookup, &self.pod) {
            (PodLookup::NotNeeded(decision), _) => Ok(KnownPod::Decided(decision)),
            (PodLookup::Started(_), None) => Ok(KnownPod::Decided(None)),
            (PodLookup::Started(request), Some(pod)) => {
                let facts = request?.facts(&self.conf, &self.request.conf.raw, pod)?;
                Ok(KnownPod::Facts(Box::new(facts)))
            }
        }
    }

    /// Decides by the addresses of the previous result. The decision is `None` if the attachment
    /// belongs to no Kubernetes pod.
    pub(crate) fn decide(&self, known: KnownPod) -> Result<(Option<Decision>, PodFacts), CniError> {
        let mut facts = match known {
            KnownPod::Decided(decision) => return Ok((decision, PodFacts::default())),
            KnownPod::Facts(facts) => *facts,
        };
        facts.addresses = self.prev_addresses()?;
        let decision = self.decide_for(&facts)?;
        Ok((Some(decision), facts))
    }

    /// The addresses of the previous result.
    pub(crate) fn prev_addresses(&self) -> Result<Vec<IpAddr>, CniError> {
        self.request.conf.prev_addresses()
    }

    /// The redirection and the addresses of the pod, after a look at those of the namespace. Only pods that
    /// are redirected cost this look.
    pub(crate) fn for_namespace(
        &self,
        mut redirection: Box<Redirection>,
        mut facts: PodFacts,
        netns: &NetNs,
        xtables: &Xtables,
    ) -> Result<(Box<Redirection>, Vec<IpAddr>), CniError> {
        let mesh = redirection.interception.mesh();
        let found = addresses::from_namespace(&facts.addresses, mesh, netns, xtables)?;
        if let Some(addresses) = found.instead {
            facts.addresses = addresses;
            if let Decision::Redirect(changed) | Decision::Enrol(changed) =
                self.decide_for(&facts)?
            {
                redirection = changed;
            }
        }
        if self.conf.ipv6 != Ipv6Mode::Reject {
            let warning = ipv6_without_rules(mesh, &found.others, &redirection.rule_sets);
            redirection.warnings.extend(warning);
        }
        for warning in &redirection.warnings {
            self.log.warn(&warning.to_string());
        }
        Ok((redirection, facts.addresses))
    }

    fn decide_for(&self, facts: &PodFacts) -> Result<Decision, CniError> {
        decide(facts, &self.conf)
            .map_err(|e| error::plan(&format!("{}/{}", facts.namespace, facts.name), &e))
    }
}

impl PodLookup {
    fn start(conf: &MeshConf, pod: Option<&PodArgs>) -> Self {
        let Some(pod) = pod else {
            return Self::NotNeeded(None);
        };
        match decide_by_name(conf, &pod.namespace, &pod.name) {
            Some(decision) => Self::NotNeeded(Some(decision)),
            None => Self::Started(pod_source::request(conf, pod)),
        }
    }
}

pub(crate) fn decode(conf: &NetConf) -> Result<Decoded, CniError> {
    MeshConf::decode(&conf.raw).map_err(|e| error::configuration(&e))
}

/// What every log line begins with, after time and level.
fn subject(command: &str, request: &AddRequest, pod: Option<&PodArgs>) -> String {
    let (container, netns) = (&request.container_id, request.netns.display());
    let pod = pod.map_or_else(String::new, |pod| {
        format!("pod={}/{} ", pod.namespace, pod.name)
    });
    format!("{command} {pod}container={container} netns={netns}")
}
