//! ADD: makes the rules stand and hands the previous result on.

use mesh_cni_netns::{Xtables, apply};
use mesh_cni_plan::{MeshConf, Redirection};
use mesh_cni_selector::SidecarKind;
use mesh_cni_spec::{AddRequest, CniError, CniResult, NetConf, pass_through};
use serde_json::Value;

use crate::call::{Answer, Call};
use crate::error;
use crate::journal::Echo;

pub(crate) fn add(xtables: &Xtables, echo: Echo, request: &AddRequest) -> Result<Value, CniError> {
    let call = Call::new("ADD", echo, request)?;
    let outcome = redirect(xtables, &call, request);
    if let Err(error) = &outcome {
        call.journal
            .error(&format!("{} ({})", error.msg(), error.details()));
    }
    outcome
}

fn redirect(xtables: &Xtables, call: &Call<'_>, request: &AddRequest) -> Result<Value, CniError> {
    // Everything that can be refused is refused before the namespace is touched.
    let result = result(&request.conf, &call.conf)?;
    let netns = call.namespace()?;
    let backend = call.backend();
    match call.answer()? {
        Answer::NoPod => call.journal.info("passed through: no Kubernetes pod"),
        Answer::Skip(reason) => {
            call.journal
                .info(&format!("passed through: {reason} [{}]", reason.code()));
        }
        Answer::Redirect(redirection) => {
            let applied = apply(&netns, xtables, backend, &redirection.rule_sets)
                .map_err(|e| error::not_applied(&e))?;
            let (change, backend) = (applied.change, applied.backend);
            let summary = summary(&redirection);
            call.journal
                .info(&format!("redirected: {summary} {change} by {backend}"));
        }
    }
    Ok(result)
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
