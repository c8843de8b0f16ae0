//! CHECK: compares the live rules of both families with the expected ones.

use mesh_cni_netfilter::{Family, RuleSet, drift_all, only_ours};
use mesh_cni_netns::read;
use mesh_cni_plan::Decision;
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_spec::{CheckRequest, CniError};

use crate::MeshCni;
use crate::backend;
use crate::error;
use crate::invocation::Invocation;

pub(crate) fn check(plugin: &MeshCni, request: &CheckRequest) -> Result<(), CniError> {
    let xtables = &plugin.xtables;
    let (invocation, lookup) = Invocation::new("CHECK", plugin.stderr, request)?;
    if !invocation.conf.standalone {
        request.conf.required_prev_result()?;
    }
    let netns = invocation.namespace()?;
    let (Some(Decision::Redirect(redirection)), facts) = invocation.decide(lookup)? else {
        return Ok(());
    };
    let mut rule_sets = invocation
        .for_namespace(redirection, facts, &netns, xtables)?
        .rule_sets;
    let choice = backend::configured(&invocation.conf);
    let found = read(&netns, xtables, choice, &Family::ALL).map_err(|e| error::not_read(&e))?;
    if invocation.conf.standalone {
        rule_sets.retain(|wanted| was_written(wanted.family, &found.rule_sets));
    }
    match drift_all(&rule_sets, &found.rule_sets, &OWNERSHIP) {
        None => Ok(()),
        Some(difference) => {
            let error = error::drift(&difference);
            invocation.log.error(error.msg());
            Err(error)
        }
    }
}

/// Whether a stand-alone ADD wrote rules of this family: IPv4 always. A network that was attached after it may
/// have brought the namespace's first IPv6 address.
fn was_written(family: Family, found: &[RuleSet]) -> bool {
    let has_ours = |rules: &RuleSet| !only_ours(rules, &OWNERSHIP).tables.is_empty();
    family == Family::V4
        || found
            .iter()
            .any(|rules| rules.family == family && has_ours(rules))
}
