//! CHECK: compares the live rules of both families with the expected ones.

use std::net::IpAddr;

use mesh_cni_netfilter::{Family, RuleSet, only_ours};
use mesh_cni_netns::{NetNs, ProcessTable, listening_ports, read};
use mesh_cni_plan::{Decision, Ipv6Mode, MeshConf};
use mesh_cni_rules::ambient;
use mesh_cni_rules::istio::Interception;
use mesh_cni_rules::{Mesh, difference, incomplete, meshes_in, ownership, proxy_ports, redirects};
use mesh_cni_selector::MeshSet;
use mesh_cni_spec::{CheckRequest, CniError};

use crate::MeshCni;
use crate::addresses;
use crate::backend;
use crate::error;
use crate::invocation::Invocation;
use crate::pod_source::FactsError;

const PROC: &str = "/proc";

pub(crate) fn check(plugin: &MeshCni, request: &CheckRequest) -> Result<(), CniError> {
    let (invocation, lookup) = Invocation::new("CHECK", plugin.stderr, request)?;
    if !invocation.conf.standalone {
        request.conf.required_prev_result()?;
    }
    let netns = invocation.namespace()?;
    let checked = match invocation.complete(lookup) {
        Err(unknown) => check_unknown(plugin, &invocation, &netns, &unknown),
        Ok(known) => match invocation.decide(known)? {
            (Some(Decision::Redirect(redirection) | Decision::Enrol(redirection)), facts) => {
                let mesh = redirection.interception.mesh();
                let (redirection, _addresses) =
                    invocation.for_namespace(redirection, facts, &netns, &plugin.xtables)?;
                let mut rule_sets = redirection.rule_sets;
                let found = live_rules(plugin, &invocation, &netns)?;
                if invocation.conf.standalone {
                    // Rules that refuse do not depend on addresses.
                    rule_sets.retain(|wanted| {
                        !redirects(wanted) || was_written(mesh, wanted.family, &found)
                    });
                }
                let difference = difference(mesh, &rule_sets, &found);
                difference.map_or(Ok(()), |difference| Err(error::drift(&difference)))
            }
            _ => Ok(()),
        },
    };
    if let Err(error) = &checked {
        invocation.log.error(error.msg());
    }
    checked
}

/// Checks a pod without facts about it.
///
/// A runtime such as CRI-O calls CHECK for every sandbox when it starts, and replaces the pods for
/// which it fails. The source of facts may be unavailable at that moment, so a pod passes if its rules
/// are complete for any settings, or if it has none and runs no proxy.
fn check_unknown(
    plugin: &MeshCni,
    invocation: &Invocation<'_>,
    netns: &NetNs,
    unknown: &FactsError,
) -> Result<(), CniError> {
    let found = live_rules(plugin, invocation, netns)?;
    let meshes = invocation.conf.profile.meshes();
    let redirecting: MeshSet = found.iter().flat_map(meshes_in).collect();
    let is_found = |mesh: &Mesh| redirecting.contains(*mesh);
    let has_rules = |mesh: &Mesh| found.iter().any(|rules| has_ours(*mesh, rules));
    let mesh = meshes
        .iter()
        .find(is_found)
        .or_else(|| meshes.iter().find(has_rules));
    let Some(mesh) = mesh else {
        if !runs_without_proxy(meshes, netns)? {
            return Err(error::facts(unknown));
        }
        invocation.log_unknown("the pod has no rules and runs no proxy", unknown);
        return Ok(());
    };
    let mut required = if invocation.conf.standalone {
        vec![Family::V4]
    } else {
        let previous = invocation.prev_addresses()?;
        let addresses = addresses::from_namespace(&previous, mesh, netns, &plugin.xtables)?;
        let addresses = addresses.instead.unwrap_or(previous);
        required_families(mesh, &invocation.conf, &addresses)
    };
    if invocation.conf.ipv6 == Ipv6Mode::Reject {
        required.push(Family::V6);
    }
    required.extend(
        Family::ALL
            .into_iter()
            .filter(|family| was_written(mesh, *family, &found)),
    );
    let is_required = |rules: &&RuleSet| required.contains(&rules.family);
    let mut required = found.iter().filter(is_required);
    if let Some(difference) = required.find_map(|rules| incomplete(mesh, rules)) {
        return Err(error::incomplete(&difference, unknown));
    }
    invocation.log_unknown(
        "the rules are complete, but were not compared with the pod's settings",
        unknown,
    );
    Ok(())
}

/// The families for which every pod of the mesh with these addresses has rules.
fn required_families(mesh: Mesh, conf: &MeshConf, addresses: &[IpAddr]) -> Vec<Family> {
    match mesh {
        Mesh::Istio => {
            let mut interception = Interception::pod_default();
            interception.dual_stack = conf.ipv6 == Ipv6Mode::Redirect;
            interception.families(addresses)
        }
        Mesh::Ambient => {
            let ipv6 = conf.ambient().ipv6 || conf.ipv6 == Ipv6Mode::Redirect;
            let interception = ambient::Interception {
                ipv6,
                ..ambient::Interception::default()
            };
            interception.families(addresses)
        }
        // The settings decide, not the addresses.
        Mesh::Linkerd | Mesh::Kuma => vec![Family::V4],
    }
}

/// Whether a process of the pod runs, and none listens on a port of a proxy. Where none runs, nothing
/// shows whether the pod needs rules.
fn runs_without_proxy(meshes: MeshSet, netns: &NetNs) -> Result<bool, CniError> {
    let processes = ProcessTable::read(PROC.as_ref()).map_err(|e| error::processes(&e))?;
    if processes.pod_process_in(netns).is_none() {
        return Ok(false);
    }
    let listening = netns
        .run(listening_ports)
        .map_err(|e| error::not_entered(&e))?
        .map_err(|e| error::processes(&e))?;
    let listens = |mesh| listening.range(proxy_ports(mesh)).next().is_some();
    Ok(!meshes.iter().any(listens))
}

fn live_rules(
    plugin: &MeshCni,
    invocation: &Invocation<'_>,
    netns: &NetNs,
) -> Result<Vec<RuleSet>, CniError> {
    let choice = backend::configured(&invocation.conf);
    let found = read(netns, &plugin.xtables, choice, &Family::ALL);
    Ok(found.map_err(|e| error::not_read(&e))?.rule_sets)
}

/// Whether a stand-alone ADD wrote rules of this family: IPv4 always. A network that was attached after it may
/// have brought the namespace's first IPv6 address.
fn was_written(mesh: Mesh, family: Family, found: &[RuleSet]) -> bool {
    let mut of_family = found.iter().filter(|rules| rules.family == family);
    family == Family::V4 || of_family.any(|rules| has_ours(mesh, rules))
}

fn has_ours(mesh: Mesh, rules: &RuleSet) -> bool {
    !only_ours(rules, ownership(mesh)).tables.is_empty()
}
