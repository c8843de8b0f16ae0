//! The form that asks where a packet of a pod ends, and the answer.

use mesh_cni_netfilter::walk::{NetnsAddresses, Walk, walk, walk_in};
use mesh_cni_netfilter::{Packet, RuleSet};
use mesh_cni_plan::{MeshConf, Plan, plan};
use mesh_cni_rules::PORT_NAMES;

use super::addresses;
use super::markup::{Document, escape};
use crate::{Pod, PodName};

/// A packet to begin with.
const EXAMPLE: &str = "out tcp 10.0.0.7:9080 uid 1000";

/// What the form sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `NAMESPACE/NAME`.
    pub(crate) pod: String,
    /// The packet, as `mesh-cnictl explain` reads it.
    pub(crate) packet: String,
}

impl Asked {
    /// What a query holds.
    pub(crate) fn parse(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "pod" => value.trim().clone_into(&mut asked.pod),
                "packet" => value.trim().clone_into(&mut asked.packet),
                _ => {}
            }
        }
        asked
    }

    /// The pod's name.
    pub(crate) fn name(&self) -> Option<PodName> {
        let (namespace, name) = self.pod.split_once('/')?;
        Some(PodName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// The page that answers; `pod` is the one that was asked about, if it is there.
pub(crate) fn page(asked: &Asked, pod: Option<&Pod>, conf: &MeshConf) -> String {
    let mut page = Document::new("Where a packet ends");
    page.raw("<p><a href=\"/\">the node</a></p>");
    form(&mut page, asked);
    match followed(asked, pod, conf) {
        Ok(walk) => {
            page.raw("<h2>The walk</h2>");
            page.preformatted(&walk.display(PORT_NAMES).to_string());
        }
        Err(words) => {
            page.raw("<p class=\"error\">");
            page.text(&words);
            page.raw("</p>");
        }
    }
    page.end()
}

pub(super) fn form(page: &mut Document, asked: &Asked) {
    let packet = if asked.packet.is_empty() {
        EXAMPLE
    } else {
        &asked.packet
    };
    page.raw(&format!(
        "<h2>Walk a packet</h2><form method=\"get\" action=\"/walk\">\
         <label>Pod <input name=\"pod\" value=\"{}\" placeholder=\"NAMESPACE/NAME\" required></label>\
         <label>Packet <input name=\"packet\" value=\"{}\" required></label>\
         <button>Walk</button></form>",
        escape(&asked.pod),
        escape(packet)
    ));
}

fn followed(asked: &Asked, pod: Option<&Pod>, conf: &MeshConf) -> Result<Walk, String> {
    let packet = asked
        .packet
        .parse::<Packet>()
        .map_err(|error| format!("packet: {}", crate::one_line(&error)))?;
    let pod = pod.ok_or_else(|| format!("no pod `{}` is known on this node", asked.pod))?;
    let facts = pod.facts.as_ref().map_err(|error| crate::one_line(error))?;
    let planned = plan(facts, conf, &addresses(pod)).map_err(|error| crate::one_line(&error))?;
    let rule_sets = match planned {
        Plan::Redirect(redirection) => redirection.rule_sets,
        Plan::Skip(reason) => return Err(format!("the pod gets no rules: {reason}")),
    };
    let family = packet.family();
    let rules = rule_sets.into_iter().find(|rules| rules.family == family);
    let rules = rules.unwrap_or_else(|| RuleSet::new(family));
    let addresses = addresses(pod);
    Ok(if addresses.is_empty() {
        walk(&rules, &packet)
    } else {
        walk_in(&rules, &packet, &NetnsAddresses::pod(&addresses))
    })
}
