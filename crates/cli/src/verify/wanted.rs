//! The rules that a pod should have, from the plugin or from the pod's own init container.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use mesh_cni_netfilter::ruleset::{BuiltinChain, ChainName, Family, Match, Rule, Sense, Target};
use mesh_cni_netfilter::{Ownership, Port, RuleSet};
use mesh_cni_plan::{Decision, MeshConf, PlanError, Warning, WarningCode, decide};
use mesh_cni_rules::istio::chains;
use mesh_cni_rules::{Interception, Mesh, other_meshes, ownership, ownership_of};
use mesh_cni_selector::{MeshSet, PodFacts};

use crate::case::OWN_POD;
use crate::init::container::{self, OwnInit, UnreadableInit, Visible};

/// The rules that a pod should have.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The mesh of the rules; `None` if the pod should have none.
    pub(super) mesh: Option<Mesh>,
    /// What counts as ours.
    pub(super) ownership: Cow<'static, Ownership>,
    /// One set for each family; a family without rules has an empty one.
    pub(super) rule_sets: Vec<RuleSet>,
    /// What applies them.
    pub(super) by: By,
    /// Warnings about the pod's settings.
    pub(super) warnings: Vec<Warning>,
}

/// What applies a pod's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The plugin.
    Plugin,
    /// The pod's own init container of that name, such as `istio-init`.
    OwnInit(&'static str),
    /// The pod has no rules, for that reason.
    None(String),
}

/// The rules for a namespace with these addresses. If there are several, each is as wanted.
pub(super) fn wanted(
    facts: &PodFacts,
    conf: &MeshConf,
    live: &[RuleSet],
    addresses: &[IpAddr],
) -> Result<Vec<Wanted>, WantedError> {
    let facts = PodFacts {
        addresses: addresses.to_vec(),
        ..facts.clone()
    };
    let reason = match decide(&facts, conf)? {
        Decision::Redirect(redirection) | Decision::Enrol(redirection) => {
            let mesh = redirection.interception.mesh();
            let mut warnings = redirection.warnings;
            warnings.extend(of_others(live, mesh.into()));
            return Ok(vec![Wanted {
                mesh: Some(mesh),
                ownership: Cow::Borrowed(ownership(mesh)),
                rule_sets: both(&redirection.rule_sets),
                by: By::Plugin,
                warnings,
            }]);
        }
        Decision::Skip(reason) => reason.to_string(),
        Decision::OwnPod => OWN_POD.to_owned(),
    };
    let visible = Visible {
        dns_servers: dns_servers(live),
        has_rules: live.iter().any(|rules| !rules.tables.is_empty()),
    };
    if let Some(own) = container::own_init(&facts, &visible)? {
        return Ok(of_own_init(&own, live, addresses));
    }
    let served = conf.profile.meshes();
    Ok(vec![Wanted {
        mesh: None,
        ownership: ownership_of(served),
        rule_sets: both(&[]),
        by: By::None(reason),
        warnings: of_others(live, served).collect(),
    }])
}

/// A warning for each mesh that has rules in the namespace and is not one of these.
fn of_others(live: &[RuleSet], meshes: MeshSet) -> impl Iterator<Item = Warning> {
    other_meshes(live, meshes).iter().map(Warning::other_mesh)
}

/// A pod whose rules cannot be determined.
#[derive(Debug, thiserror::Error)]
pub(super) enum WantedError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    OwnInit(#[from] UnreadableInit),
}

fn of_own_init(own: &OwnInit, live: &[RuleSet], addresses: &[IpAddr]) -> Vec<Wanted> {
    let warning = |message: &String| Warning::new(WarningCode::UnknownValue, message);
    let wanted = |interception: &Interception| {
        let mesh = interception.mesh();
        let families = interception.families(addresses).into_iter();
        let rule_sets: Vec<_> = families
            .map(|family| interception.compile(family))
            .collect();
        let warnings = own.warnings.iter().map(warning);
        Wanted {
            mesh: Some(mesh),
            ownership: Cow::Borrowed(ownership(mesh)),
            rule_sets: both(&rule_sets),
            by: By::OwnInit(mesh.marks().map_or("", |marks| marks.init)),
            warnings: warnings.chain(of_others(live, mesh.into())).collect(),
        }
    };
    own.interceptions.iter().map(wanted).collect()
}

/// The servers whose queries these rules capture, in the order of the rules: those of Istio are in a chain of
/// their own, those of Kuma in a built-in one.
fn dns_servers(live: &[RuleSet]) -> Vec<IpAddr> {
    const OUTPUT: ChainName = ChainName::constant(BuiltinChain::Output.as_str());
    let tables = || live.iter().flat_map(|rules| &rules.tables);
    let chains = |name| tables().filter_map(move |table| table.chain(&name));
    let rules = [chains::OUTPUT_DNS, OUTPUT].into_iter().flat_map(chains);
    let rules = rules.flat_map(|chain| &chain.rules);
    let query = Match::DestinationPort(Sense::Is, Port::constant(53).into());
    let is_capture =
        |rule: &&Rule| matches!(rule.target, Target::Redirect(_)) && rule.matches.contains(&query);
    let mut servers = Vec::new();
    for condition in rules.filter(is_capture).flat_map(|rule| &rule.matches) {
        if let Match::Destination(Sense::Is, server) = condition
            && !servers.contains(&server.ip())
        {
            servers.push(server.ip());
        }
    }
    if servers.is_empty() && chains(chains::OUTPUT_DNS).next().is_some() {
        // All servers are of the family without rules, and any of them changes the others equally.
        servers.push(Ipv6Addr::UNSPECIFIED.into());
    }
    servers
}

/// One set for each family, IPv4 first.
fn both(rule_sets: &[RuleSet]) -> Vec<RuleSet> {
    let of = |family| {
        let found = rule_sets.iter().find(|rules| rules.family == family);
        found.cloned().unwrap_or_else(|| RuleSet::new(family))
    };
    Family::ALL.map(of).into()
}
