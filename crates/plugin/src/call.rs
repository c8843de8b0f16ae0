//! What ADD and CHECK have in common: the namespace, the pod, and what should stand.

use std::net::IpAddr;

use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables};
use mesh_cni_plan::{BackendName, Decoded, MeshConf, Plan, Redirection, plan};
use mesh_cni_selector::{PodFacts, SkipReason};
use mesh_cni_spec::{AddRequest, CniError, NetConf, PodArgs};

use crate::addresses;
use crate::error;
use crate::journal::{Echo, Journal};
use crate::pod_source::{self, FactsError, Question};

/// A call on one attachment, its configuration decoded and its journal open.
pub(crate) struct Call<'request> {
    request: &'request AddRequest,
    pod: Option<PodArgs>,
    pub(crate) conf: MeshConf,
    pub(crate) journal: Journal,
}

/// What is to be done about the attachment.
pub(crate) enum Answer {
    /// It belongs to no Kubernetes pod.
    NoPod,
    /// It is the agent's own pod, which must not wait for itself.
    OwnPod,
    /// The pod is left alone.
    Skip(SkipReason),
    /// It gets rules.
    Redirect(Selected),
}

/// A pod that is redirected, and what is known without a look into its namespace.
pub(crate) struct Selected {
    facts: Box<PodFacts>,
    /// The addresses that the plugin before told.
    told: Vec<IpAddr>,
    /// The rules by these addresses alone.
    redirection: Box<Redirection>,
}

/// How far the answer is.
pub(crate) enum Pending {
    /// Nobody needs to be asked.
    Known(Answer),
    /// Who knows the pod was asked, or could not be.
    Asked(Result<Question, FactsError>),
}

impl<'request> Call<'request> {
    /// Reads the call, and asks about its pod at once, so that the answer comes while the rest is
    /// made ready.
    pub(crate) fn new(
        command: &'static str,
        echo: Echo,
        request: &'request AddRequest,
    ) -> Result<(Self, Pending), CniError> {
        let Decoded { conf, unknown, .. } = decode(&request.conf)?;
        let pod = request.args.pod();
        let pending = Pending::of(&conf, pod.as_ref());
        let journal = Journal::open(&conf, command, &subject(request, pod.as_ref()), echo);
        if !unknown.is_empty() {
            let fields = unknown.join(", ");
            journal.warn(&format!(
                "unknown fields of the configuration are ignored: {fields}"
            ));
        }
        let call = Self {
            request,
            pod,
            conf,
            journal,
        };
        Ok((call, pending))
    }

    /// The attachment's namespace, which must not be our own.
    pub(crate) fn namespace(&self) -> Result<NetNs, CniError> {
        let netns = NetNs::open(&self.request.netns).map_err(|e| error::namespace(&e))?;
        if !self.request.netns_override {
            let own = NetNs::current().map_err(|e| error::namespace(&e))?;
            if own.is_same(&netns) {
                return Err(error::own_namespace(
                    &self.request.netns.display().to_string(),
                ));
            }
        }
        Ok(netns)
    }

    /// The pod of the attachment, if it has one.
    pub(crate) fn pod(&self) -> Option<&PodArgs> {
        self.pod.as_ref()
    }

    /// The sandbox.
    pub(crate) fn container_id(&self) -> &str {
        self.request.container_id.as_str()
    }

    /// Which back ends may be used.
    pub(crate) fn backend(&self) -> BackendChoice {
        backend(&self.conf)
    }

    /// Hears what is known about the pod, and decides.
    pub(crate) fn answer(&self, pending: Pending) -> Result<Answer, CniError> {
        let question = match pending {
            Pending::Known(answer) => return Ok(answer),
            Pending::Asked(question) => question,
        };
        let Some(pod) = &self.pod else {
            return Ok(Answer::NoPod);
        };
        let facts = question
            .and_then(|asked| pod_source::facts(asked, &self.conf, &self.request.conf.raw, pod))
            .map_err(|e| error::facts(&e))?;
        let told = self.request.conf.prev_addresses()?;
        Ok(match self.plan(&facts, &told)? {
            Plan::Skip(reason) => Answer::Skip(reason),
            Plan::Redirect(redirection) => Answer::Redirect(Selected {
                facts: Box::new(facts),
                told,
                redirection,
            }),
        })
    }

    /// The rules of a pod that is redirected: only such a one is worth a look into its namespace.
    pub(crate) fn redirection(
        &self,
        selected: Selected,
        netns: &NetNs,
        xtables: &Xtables,
    ) -> Result<Box<Redirection>, CniError> {
        let mut redirection = selected.redirection;
        if let Some(addresses) = addresses::beyond(&selected.told, netns, xtables)?
            && let Plan::Redirect(better) = self.plan(&selected.facts, &addresses)?
        {
            redirection = better;
        }
        for warning in &redirection.warnings {
            self.journal.warn(warning);
        }
        Ok(redirection)
    }

    fn plan(&self, facts: &PodFacts, addresses: &[IpAddr]) -> Result<Plan, CniError> {
        let pod = format!("{}/{}", facts.namespace, facts.name);
        plan(facts, &self.conf, addresses).map_err(|e| error::plan(&pod, &e))
    }
}

impl Pending {
    /// An excluded namespace is decided without asking anyone.
    fn of(conf: &MeshConf, pod: Option<&PodArgs>) -> Self {
        let Some(pod) = pod else {
            return Self::Known(Answer::NoPod);
        };
        if conf.is_agent_pod(&pod.namespace, &pod.name) {
            return Self::Known(Answer::OwnPod);
        }
        match conf.policy().exclude_by_name(&pod.namespace) {
            Some(reason) => Self::Known(Answer::Skip(reason)),
            None => Self::Asked(pod_source::ask(conf, pod)),
        }
    }
}

pub(crate) fn decode(conf: &NetConf) -> Result<Decoded, CniError> {
    MeshConf::decode(&conf.raw).map_err(|e| error::configuration(&e))
}

/// The back ends of the configured name.
pub(crate) fn backend(conf: &MeshConf) -> BackendChoice {
    match conf.backend {
        BackendName::Auto => BackendChoice::Auto,
        BackendName::Netlink => BackendChoice::Only(Backend::Netlink),
        BackendName::NftNative => BackendChoice::Only(Backend::NftNative),
        BackendName::IptablesNft => BackendChoice::Only(Backend::IptablesNft),
        BackendName::IptablesLegacy => BackendChoice::Only(Backend::IptablesLegacy),
    }
}

fn subject(request: &AddRequest, pod: Option<&PodArgs>) -> String {
    let (container, netns) = (&request.container_id, request.netns.display());
    let of_pod = pod
        .map(|pod| format!("pod={} ", name(pod)))
        .unwrap_or_default();
    format!("{of_pod}container={container} netns={netns}")
}

fn name(pod: &PodArgs) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}
