//! ADD: applies the pod's rules and returns the previous result.

use std::time::Instant;

use mesh_cni_agent_api::AddOutcome;
use mesh_cni_netns::apply;
use mesh_cni_plan::{Decision, MeshConf, Redirection, rule_counts};
use mesh_cni_selector::{Mesh, SidecarKind};
use mesh_cni_spec::{AddRequest, CniError, CniResult, NetConf, pass_through};
use serde_json::Value;

use crate::MeshCni;
use crate::backend::BackendSelector;
use crate::enrolment;
use crate::error;
use crate::invocation::{Invocation, PodLookup};
use crate::report::{self, Summary};

pub(crate) fn add(plugin: &MeshCni, request: &AddRequest) -> Result<Value, CniError> {
    let start = Instant::now();
    let (invocation, lookup) = Invocation::new("ADD", plugin.stderr, request)?;
    let added = redirect(plugin, &invocation, lookup, request);
    let summary = match &added {
        Ok((_, summary)) => summary,
        Err(error) => {
            let (msg, details) = (error.msg(), error.details());
            invocation.log.error(&format!("{msg} ({details})"));
            &Summary::new(AddOutcome::Error, error.code().number().to_string())
        }
    };
    report::send(&invocation, summary, start.elapsed());
    added.map(|(result, _)| result)
}

fn redirect(
    plugin: &MeshCni,
    invocation: &Invocation<'_>,
    lookup: PodLookup,
    request: &AddRequest,
) -> Result<(Value, Summary), CniError> {
    // Everything that can be refused is refused before the namespace is changed.
    let result = result(&request.conf, &invocation.conf)?;
    let netns = invocation.namespace()?;
    let log = &invocation.log;
    let known = invocation.complete(lookup).map_err(|e| error::facts(&e))?;
    let (decision, facts) = invocation.decide(known)?;
    let summary = match decision {
        None => {
            log.info("passed through: not a Kubernetes pod");
            Summary::new(AddOutcome::NoPod, "")
        }
        Some(Decision::OwnPod) => {
            log.info("passed through: the agent's own pod");
            Summary::new(AddOutcome::Skip, "own-pod")
        }
        Some(Decision::Skip(reason)) => {
            let code = reason.code();
            log.info(&format!("passed through: {reason} [{code}]"));
            Summary::new(AddOutcome::Skip, code)
        }
        Some(Decision::Redirect(redirection) | Decision::Enrol(redirection)) => {
            let xtables = &plugin.xtables;
            let backend = BackendSelector::new(invocation, xtables);
            netns
                .enter(plugin.netns_entry)
                .map_err(|e| error::not_entered(&e))?;
            let (redirection, addresses) =
                invocation.for_namespace(redirection, facts, &netns, xtables)?;
            let mesh = redirection.interception.mesh();
            let applied = apply(
                &netns,
                xtables,
                backend.choice(),
                mesh,
                &redirection.rule_sets,
            )
            .map_err(|e| error::not_applied(&e))?;
            backend.update(applied);
            if mesh == Mesh::Ambient {
                enrolment::enrol(plugin, invocation, &netns, addresses, applied.backend)?;
            }
            log.info(&format!(
                "redirected: {} {} by {}",
                describe(&redirection),
                applied.change,
                applied.backend
            ));
            let (outcome, reason) = match redirection.sidecar {
                Some(SidecarKind::Container) => (AddOutcome::Redirect, "container"),
                Some(SidecarKind::Native) => (AddOutcome::Redirect, "native"),
                None => (AddOutcome::Enrol, "ambient"),
            };
            Summary {
                backend: applied.backend.to_string(),
                warnings: redirection.warnings,
                ..Summary::new(outcome, reason)
            }
        }
    };
    Ok((result, summary))
}

/// The result of an ADD that does nothing: that of the plugins before it, or an empty one.
pub(crate) fn pass_on(conf: &NetConf) -> Result<Value, CniError> {
    match &conf.prev_result {
        Some(previous) => pass_through(previous, conf.cni_version),
        None => Ok(CniResult::default().to_value(conf.cni_version)),
    }
}

/// The result of this ADD: that of the plugins before it.
fn result(conf: &NetConf, ours: &MeshConf) -> Result<Value, CniError> {
    if conf.prev_result.is_none() && !ours.standalone {
        return Err(
            CniError::config("prevResult is missing: there is no plugin before this one")
                .with_details(
                    "put mesh-cni after the main plugin in the list's `plugins`, or set \
                     `standalone` to true if another program runs it without a list",
                ),
        );
    }
    pass_on(conf)
}

fn describe(redirection: &Redirection) -> String {
    let sidecar = match redirection.sidecar {
        Some(SidecarKind::Container) => "sidecar",
        Some(SidecarKind::Native) => "native sidecar",
        None => "ztunnel",
    };
    format!("{sidecar}, {}", rule_counts(&redirection.rule_sets))
}
