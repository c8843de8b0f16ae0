//! Whether the plugin and its entry are in place on each node, in the directories that the runtime reads.

use crate::check::common;
use crate::check::finding::{CheckId, Finding};
use crate::check::groups::{count, grouped};
use crate::check::node::Node;
use crate::check::observed::ObservedAfter;

pub(super) fn plugin(observed: &ObservedAfter) -> Vec<Finding> {
    let answers = observed.answers.iter().filter_map(|(node, answer)| {
        let answer = answer.as_ref().ok()?;
        let is_installed = answer.installation == "installed";
        Some(((is_installed, answer.reasons.join("; ")), node))
    });
    grouped(answers)
        .into_iter()
        .map(|((is_installed, reasons), names)| {
            let number = count(names.len(), "node");
            if is_installed {
                let text = format!("{number}: plugin and entry are in place");
                return Finding::ok(CheckId::PluginInstalled, text).names(names);
            }
            let text = format!("{number}: the plugin is not installed: {reasons}");
            Finding::failed(CheckId::PluginInstalled, text)
                .hint(hint(&reasons))
                .names(names)
        })
        .collect()
}

fn hint(reasons: &str) -> &'static str {
    if reasons.contains("has no mesh-cni entry") {
        "another program rewrote the list; the agent restores the entry within seconds while it runs, and its log \
         names the list"
    } else if reasons.contains("differs from this agent's plugin") {
        "the plugin on the host has another version than the agent, which replaces it while it runs: read its log"
    } else if reasons.contains("cannot be loaded") {
        "correct the network configuration, which the runtime cannot load either"
    } else if reasons.contains("no network configuration") {
        "the agent looks in a directory that the runtime does not use: set the chart's value `platform`, or `cniConfDir`"
    } else {
        "check the directories in `cni-directories`, and read the agent's log"
    }
}

/// Compares the host directories that the agents were given with those of the node's distribution.
pub(super) fn directories(observed: &ObservedAfter, nodes: &[&Node]) -> Vec<Finding> {
    let wrong = nodes.iter().filter_map(|node| {
        let pod = observed.agents.get(&node.name)?;
        let (bin_dirs, conf_dir) = common::directories(node);
        let (bin, conf) = (pod.bin_dir.as_deref()?, pod.conf_dir.as_deref()?);
        let fits = bin_dirs.contains(&bin) && conf == conf_dir;
        let platform = node.known_platform()?.name;
        (!fits).then(|| {
            let wanted = bin_dirs.first().copied().unwrap_or_default();
            let found =
                format!("{bin} and {conf}, but a node of {platform} uses {wanted} and {conf_dir}");
            ((found, platform), &node.name)
        })
    });
    let mut findings: Vec<_> = grouped(wrong)
        .into_iter()
        .map(|((found, platform), names)| {
            let text = format!("{}: the agent has {found}", count(names.len(), "node"));
            Finding::failed(CheckId::CniDirectories, text)
                .hint(format!(
                    "set the chart's value `platform={platform}`, and leave `cniBinDir` and `cniConfDir` empty"
                ))
                .names(names)
        })
        .collect();
    if findings.is_empty() && !observed.agents.is_empty() {
        let text = "the agents have the directories of the nodes' distributions";
        findings.push(Finding::ok(CheckId::CniDirectories, text));
    }
    findings
}
