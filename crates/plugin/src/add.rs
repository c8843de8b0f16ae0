//! ADD: makes the rules stand and hands the previous result on.

use std::time::Instant;

use mesh_cni_netns::apply;
use mesh_cni_plan::{MeshConf, Redirection};
use mesh_cni_selector::SidecarKind;
use mesh_cni_spec::{AddRequest, CniError, CniResult, NetConf, pass_through};
use serde_json::Value;

use crate::MeshCni;
use crate::call::{Answer, Call, Pending};
use crate::choice::Choice;
use crate::error;
use crate::report::{self, Outcome};

pub(crate) fn add(plugin: &MeshCni, request: &AddRequest) -> Result<Value, CniError> {
    let start = Instant::now();
    let (call, pending) = Call::new("ADD", plugin.echo, request)?;
    let answer = redirect(plugin, &call, pending, request);
    let outcome = match &answer {
        Ok((_, outcome)) => outcome,
        Err(error) => {
            let (msg, details) = (error.msg(), error.details());
            call.journal.error(&format!("{msg} ({details})"));
            &Outcome::failed(error)
        }
    };
    report::send(&call, outcome, start.elapsed());
    answer.map(|(result, _)| result)
}

fn redirect(
    plugin: &MeshCni,
    call: &Call<'_>,
    pending: Pending,
    request: &AddRequest,
) -> Result<(Value, Outcome), CniError> {
    // Everything that can be refused is refused before the namespace is touched.
    let result = result(&request.conf, &call.conf)?;
    let netns = call.namespace()?;
    let outcome = match call.answer(pending)? {
        Answer::NoPod => {
            call.journal.info("passed through: no Kubernetes pod");
            Outcome::no_pod()
        }
        Answer::OwnPod => {
            call.journal.info("passed through: the agent's own pod");
            Outcome::skipped("own-pod")
        }
        Answer::Skip(reason) => {
            let code = reason.code();
            call.journal
                .info(&format!("passed through: {reason} [{code}]"));
            Outcome::skipped(code)
        }
        Answer::Redirect(selected) => {
            let (xtables, choice) = (&plugin.xtables, Choice::new(call, &plugin.xtables));
            netns
                .enter(plugin.netns_entry)
                .map_err(|e| error::not_entered(&e))?;
            let redirection = call.redirection(selected, &netns, xtables)?;
            let applied = apply(&netns, xtables, choice.backend(), &redirection.rule_sets)
                .map_err(|e| error::not_applied(&e))?;
            choice.learn_from(applied);
            let (change, backend) = (applied.change, applied.backend);
            let summary = summary(&redirection);
            call.journal
                .info(&format!("redirected: {summary} {change} by {backend}"));
            Outcome::redirected(kind(redirection.sidecar), backend.to_string())
        }
    };
    Ok((result, outcome))
}

/// The answer of this ADD: what the plugins before it answered.
fn result(conf: &NetConf, ours: &MeshConf) -> Result<Value, CniError> {
    match &conf.prev_result {
        Some(previous) => pass_through(previous, conf.cni_version),
        None if ours.standalone => Ok(CniResult::default().to_value(conf.cni_version)),
        None => Err(
            CniError::config("prevResult is missing: there is no plugin before this one")
                .with_details(
                    "put mesh-cni behind the main plugin in the list's `plugins`, or set \
                 `standalone` to true where another program calls it alone",
                ),
        ),
    }
}

fn summary(redirection: &Redirection) -> String {
    let sidecar = match redirection.sidecar {
        SidecarKind::Container => "sidecar",
        SidecarKind::Native => "native sidecar",
    };
    let sets = redirection.rule_sets.iter();
    let sets: Vec<_> = sets
        .map(|rules| format!("{} {} rules", rules.rule_count(), rules.family))
        .collect();
    format!("{sidecar}, {}", sets.join(" and "))
}

/// The kind of sidecar, as metrics name it.
fn kind(sidecar: SidecarKind) -> &'static str {
    match sidecar {
        SidecarKind::Container => "container",
        SidecarKind::Native => "native",
    }
}
