//! What ADD and CHECK have in common: the namespace, the pod, and what should stand.

use std::net::IpAddr;

use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables};
use mesh_cni_plan::{BackendName, Decoded, MeshConf, Plan, Redirection, plan};
use mesh_cni_selector::{PodFacts, SkipReason};
use mesh_cni_spec::{AddRequest, CniError, NetConf, PodArgs};

use crate::addresses;
use crate::error;
use crate::journal::{Echo, Journal};
use crate::pod_source;

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
    facts: PodFacts,
    /// The addresses that the plugin before told.
    told: Vec<IpAddr>,
    /// The rules by these addresses alone.
    redirection: Box<Redirection>,
}

impl<'request> Call<'request> {
    pub(crate) fn new(
        command: &'static str,
        echo: Echo,
        request: &'request AddRequest,
    ) -> Result<Self, CniError> {
        let Decoded { conf, unknown, .. } = decode(&request.conf)?;
        let pod = request.args.pod();
        let journal = Journal::open(&conf, command, &subject(request, pod.as_ref()), echo);
        if !unknown.is_empty() {
            let fields = unknown.join(", ");
            journal.warn(&format!(
                "unknown fields of the configuration are ignored: {fields}"
            ));
        }
        Ok(Self {
            request,
            pod,
            conf,
            journal,
        })
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

    /// Looks the pod up and decides; an excluded namespace is decided without asking anyone.
    pub(crate) fn answer(&self) -> Result<Answer, CniError> {
        let Some(pod) = &self.pod else {
            return Ok(Answer::NoPod);
        };
        if self.conf.is_agent_pod(&pod.namespace, &pod.name) {
            return Ok(Answer::OwnPod);
        }
        if let Some(reason) = self.conf.policy().exclude_by_name(&pod.namespace) {
            return Ok(Answer::Skip(reason));
        }
        let facts = pod_source::facts(&self.conf, &self.request.conf.raw, pod)
            .map_err(|e| error::facts(&e))?;
        let told = self.request.conf.prev_addresses()?;
        Ok(match self.plan(&facts, &told)? {
            Plan::Skip(reason) => Answer::Skip(reason),
            Plan::Redirect(redirection) => Answer::Redirect(Selected {
                facts,
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
