//! The page for people: the node at a glance, each pod with its decision, its rules, and the walk of
//! a packet. Plain HTML, no script, nothing from elsewhere.

mod markup;
mod pod;
mod walk;

use std::sync::Arc;

use mesh_cni_plan::{MeshConf, Plan, plan};

use crate::kube::pod::Pod;
use crate::repair::RepairStatus;
use crate::status::{CheckStatus, State, Status};
use markup::{Document, escape};

pub(crate) use markup::SECURITY_POLICY;
pub(crate) use pod::page as pod_page;
pub(crate) use walk::{Asked, page as walk_page};

/// The first page.
pub(crate) fn overview(status: &Status, pods: &[Arc<Pod>], conf: &MeshConf) -> String {
    let mut page = Document::new(&format!("mesh-cni on {}", status.node));
    let state = match status.state {
        State::Running => "running",
        State::Updating => "updating",
    };
    page.raw(&format!(
        "<p class=\"state {state}\"><strong>{state}</strong> "
    ));
    page.text(&status.why);
    page.raw("</p>");
    checks(&mut page, &status.checks);
    backend(&mut page, status);
    if let Some(status) = &status.repair {
        repair(&mut page, status);
    }
    walk::form(&mut page, &Asked::default());
    pod_table(&mut page, pods, conf);
    page.end()
}

fn checks(page: &mut Document, checks: &[CheckStatus]) {
    page.raw("<h2>Checks</h2><table><thead><tr><th>Check</th><th>Ready</th><th>What it says</th></tr></thead><tbody>");
    for check in checks {
        let ready = if check.ready { "yes" } else { "no" };
        page.row(&[check.name, ready, &check.detail]);
    }
    page.raw("</tbody></table>");
}

fn backend(page: &mut Document, status: &Status) {
    let name = status.backend.name.as_deref().unwrap_or("none");
    let age = status
        .watch_age_seconds
        .map(|age| format!(" The API server was heard {age:.0} s ago."))
        .unwrap_or_default();
    page.paragraph(&format!(
        "Back end: {name} ({}).{age} Agent {}.",
        status.backend.detail, status.version
    ));
}

fn repair(page: &mut Document, status: &RepairStatus) {
    page.raw("<h2>Repair</h2>");
    page.paragraph(&format!(
        "What is done about broken pods: {}. {} done, {} failed, {} broken now.",
        status.remedies.join(", "),
        status.done,
        status.failed,
        status.broken
    ));
    if !status.pods.is_empty() {
        page.raw("<table><thead><tr><th>Pod</th><th>Why it is broken</th></tr></thead><tbody>");
        for broken in &status.pods {
            page.row(&[&broken.pod, &broken.why]);
        }
        page.raw("</tbody></table>");
    }
}

fn pod_table(page: &mut Document, pods: &[Arc<Pod>], conf: &MeshConf) {
    page.raw(&format!("<h2>Pods of this node ({})</h2>", pods.len()));
    if pods.is_empty() {
        page.paragraph("None is known.");
        return;
    }
    page.raw("<table><thead><tr><th>Namespace</th><th>Pod</th><th>Phase</th><th>Decision</th><th>Reason</th></tr></thead><tbody>");
    for pod in pods {
        let (decision, reason) = decision(pod, conf);
        let (namespace, name) = (escape(&pod.name.namespace), escape(&pod.name.name));
        page.raw(&format!(
            "<tr class=\"{decision}\"><td>{namespace}</td><td><a href=\"/pods/{namespace}/{name}\">{name}</a></td>"
        ));
        for cell in [pod.phase.as_str(), decision, &reason] {
            page.raw("<td>");
            page.text(cell);
            page.raw("</td>");
        }
        page.raw("</tr>");
    }
    page.raw("</tbody></table>");
}

/// What an ADD of the pod would decide now, and why.
pub(crate) fn decision(pod: &Pod, conf: &MeshConf) -> (&'static str, String) {
    if let Some(reason) = conf.policy().exclude_by_name(&pod.name.namespace) {
        return ("skip", reason.to_string());
    }
    let facts = match &pod.facts {
        Ok(facts) => facts,
        Err(error) => return ("error", crate::one_line(error)),
    };
    match plan(facts, conf, &addresses(pod)) {
        Ok(Plan::Skip(reason)) => ("skip", reason.to_string()),
        Ok(Plan::Redirect(redirection)) => {
            let sets = redirection.rule_sets.iter();
            let sets: Vec<_> = sets
                .map(|rules| format!("{} {} rules", rules.rule_count(), rules.family))
                .collect();
            ("redirect", sets.join(" and "))
        }
        Err(error) => ("error", crate::one_line(&error)),
    }
}

/// The pod's addresses, as far as they are ones.
pub(crate) fn addresses(pod: &Pod) -> Vec<std::net::IpAddr> {
    let addresses = pod.addresses.iter();
    addresses
        .filter_map(|address| address.parse().ok())
        .collect()
}
