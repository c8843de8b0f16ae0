//! The form that simulates a packet through a pod's rules, and its result.

use maud::{Markup, html};
use mesh_cni_netfilter::walk::{NetnsAddresses, walk, walk_in};
use mesh_cni_netfilter::{Packet, RuleSet};
use mesh_cni_plan::{Decision, MeshConf};
use mesh_cni_rules::port_names;

use super::{MAX_LISTING_BYTES, document, prose, shortened};
use crate::decide::decide;
use crate::error_chain;
use mesh_cni_kube::pod::{Pod, PodName};

/// The packet in an empty form.
const EXAMPLE: &str = "out tcp 10.0.0.7:9080 uid 1000";

/// The fields of the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WalkQuery {
    /// `NAMESPACE/NAME`.
    pub(crate) pod: String,
    /// The packet, in the syntax of `mesh-cnictl explain`.
    pub(crate) packet: String,
}

impl WalkQuery {
    /// Reads the query of a URL.
    pub(crate) fn parse(query: &str) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "pod" => value.trim().clone_into(&mut fields.pod),
                "packet" => value.trim().clone_into(&mut fields.packet),
                _ => {}
            }
        }
        fields
    }

    /// The pod's name.
    pub(crate) fn pod_name(&self) -> Option<PodName> {
        let (namespace, name) = self.pod.split_once('/')?;
        Some(PodName::new(namespace, name))
    }
}

/// The page with the result; `pod` is the pod of the query, if this node has it.
pub(crate) fn page(query: &WalkQuery, pod: Option<&Pod>, conf: &MeshConf) -> Markup {
    document(
        "Where a packet ends",
        &html! {
            p { a href="/" { "the node" } }
            (form(query))
            @match simulate(query, pod, conf) {
                Ok(walk) => { h2 { "The walk" } pre { (shortened(&walk, MAX_LISTING_BYTES)) } }
                Err(error) => p.error { (prose(&error)) }
            }
        },
    )
}

pub(super) fn form(query: &WalkQuery) -> Markup {
    let packet = if query.packet.is_empty() {
        EXAMPLE
    } else {
        &query.packet
    };
    html! {
        h2 { "Walk a packet" }
        form method="get" action="/walk" {
            label {
                "Pod "
                input name="pod" value=(query.pod) placeholder="NAMESPACE/NAME" required;
            }
            label { "Packet " input name="packet" value=(packet) required; }
            button { "Walk" }
        }
    }
}

fn simulate(query: &WalkQuery, pod: Option<&Pod>, conf: &MeshConf) -> Result<String, String> {
    let packet: Packet = query
        .packet
        .parse()
        .map_err(|error| format!("packet: {}", error_chain(&error)))?;
    let pod = pod.ok_or_else(|| format!("this node has no pod `{}`", query.pod))?;
    let (mesh, rule_sets) = match decide(pod, conf)? {
        Decision::Redirect(redirection) | Decision::Enrol(redirection) => {
            (redirection.interception.mesh(), redirection.rule_sets)
        }
        Decision::Skip(reason) => return Err(format!("the pod gets no rules: {reason}")),
        Decision::OwnPod => {
            return Err("the pod gets no rules: it is the agent's own pod".to_owned());
        }
    };
    let family = packet.family();
    let rules = rule_sets
        .into_iter()
        .find(|rules| rules.family == family)
        .unwrap_or_else(|| RuleSet::new(family));
    let walk = match pod.addresses() {
        [] => walk(&rules, &packet),
        addresses => walk_in(&rules, &packet, &NetnsAddresses::pod(addresses)),
    };
    Ok(walk.display(port_names(mesh)).to_string())
}
