//! The page for people: the state of the node, the decision and the rules of each pod, and the walk of
//! a packet. HTML without scripts and without resources of other servers.

mod pod;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use mesh_cni_agent_api::{AgentStatus, CheckStatus, RepairStatus};
use mesh_cni_plan::{Decision, MeshConf, rule_counts};

use crate::decide::decide;
use mesh_cni_kube::pod::{Pod, PodError};

pub(crate) use pod::page as pod;
pub(crate) use walk::{WalkQuery, page as walk};

/// What a browser may do with the page: show it with its one style sheet, and send its form to the
/// agent.
pub(crate) const SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-41ejvYupL51l/zNKC4YJgYObpmyb2O32qXLUM5G+Ocg='; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How many pods the start page shows at a time.
const PODS: usize = 200;

/// The longest text in one cell of a table, in bytes. A tenant's annotation can be part of it.
const MAX_CELL_BYTES: usize = 500;

/// The longest listing, in bytes.
const MAX_LISTING_BYTES: usize = 64 * 1024;

/// Readable on a phone, in both color schemes, and without color.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:0 auto;padding:1rem}\
table{border-collapse:collapse;display:block;overflow-x:auto}\
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8886}\
pre{overflow-x:auto;padding:.75rem;border:1px solid #8886;border-radius:.25rem}\
input,select,button{font:inherit;padding:.25rem .5rem;max-width:100%}\
form input{width:34rem}\
label{display:block;margin:.5rem 0}\
.state{border-left:.4rem solid;padding-left:.75rem}\
.running{border-color:#2a7}\
.running,tr.redirect td:nth-child(4){color:light-dark(#064,#6da)}\
.updating,.error{border-color:#c60;color:light-dark(#930,#fb7)}\
";

/// The start page, with the pods from that number on.
pub(crate) fn node(
    status: &AgentStatus,
    pods: &[Arc<Pod>],
    first: usize,
    conf: &MeshConf,
) -> Markup {
    let state = status.state.as_str();
    let backend = status.backend.name.as_deref().unwrap_or("none");
    document(
        &format!("mesh-cni on {}", status.node),
        &html! {
            p.state.(state) { strong { (state) } " " (status.why) }
            (checks(&status.checks))
            p {
                "Back end: " (backend) " (" (status.backend.detail) ")."
                @if let Some(age) = status.watch_age_seconds {
                    " The API server last sent something " (format!("{age:.0}")) " s ago."
                }
                " Agent " (status.version) "."
            }
            @if let Some(status) = &status.repair { (repair(status)) }
            @if !status.warnings.is_empty() { (warnings(&status.warnings)) }
            (walk::form(&WalkQuery::default()))
            (pod_table(pods, first, conf))
        },
    )
}

/// A page with that title, which is also its first heading.
fn document(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (content) } }
        }
    }
}

/// A table. Each row has its cells.
fn table<const N: usize>(header: [&str; N], rows: &Markup) -> Markup {
    html! {
        table {
            thead { tr { @for title in header { th { (title) } } } }
            tbody { (rows) }
        }
    }
}

fn checks(checks: &[CheckStatus]) -> Markup {
    let rows = html! {
        @for check in checks {
            tr { td { (check.name) } td { (yes_or_no(check.ready)) } td { (shortened(&check.detail, MAX_CELL_BYTES)) } }
        }
    };
    html! { h2 { "Checks" } (table(["Check", "Ready", "Details"], &rows)) }
}

fn repair(status: &RepairStatus) -> Markup {
    let rows = html! {
        @for broken in &status.pods {
            tr { td { (broken.pod) } td { (shortened(&broken.why, MAX_CELL_BYTES)) } }
        }
    };
    html! {
        h2 { "Repair" }
        p {
            "Actions for broken pods: " (status.remedies.join(", ")) ". "
            (status.done) " done, " (status.failed) " failed, " (status.broken) " broken now."
        }
        @if !status.pods.is_empty() { (table(["Pod", "Why it is broken"], &rows)) }
    }
}

fn warnings(counts: &BTreeMap<String, u64>) -> Markup {
    let rows = html! {
        @for (code, count) in counts { tr { td { (code) } td { (count) } } }
    };
    html! { h2 { "Warnings about redirected pods" } (table(["Code", "Reports"], &rows)) }
}

fn pod_table(pods: &[Arc<Pod>], first: usize, conf: &MeshConf) -> Markup {
    let first = first.min(pods.len());
    let next = pods.len().min(first + PODS);
    let rows = html! {
        @for pod in &pods[first..next] {
            @let (namespace, name) = (&pod.name.namespace, &pod.name.name);
            @let (decision, reason) = describe_row(pod, conf);
            tr.(decision) {
                td { (namespace) }
                td { a href={ "/pods/" (namespace) "/" (name) } { (name) } }
                td { (pod.phase) }
                td { (decision) }
                td { (shortened(&reason, MAX_CELL_BYTES)) }
            }
        }
    };
    html! {
        h2 { "Pods of this node (" (pods.len()) ")" }
        @if pods.is_empty() {
            p { "No pods are known." }
        } @else {
            @if next - first < pods.len() { p { "Pods " (first + 1) " to " (next) "." } }
            (table(["Namespace", "Pod", "Phase", "Decision", "Reason"], &rows))
            @if first > 0 { p { a href={ "/?from=" (first.saturating_sub(PODS)) } { "previous" } } }
            @if next < pods.len() { p { a href={ "/?from=" (next) } { "next" } } }
        }
    }
}

/// The same as [`describe`] for the table, which requests nothing.
fn describe_row(pod: &Pod, conf: &MeshConf) -> (&'static str, String) {
    match &pod.facts {
        Err(PodError::TooLarge) => (
            "large",
            "its settings are not kept in memory; its page requests them".to_owned(),
        ),
        _ => describe(&decide(pod, conf)),
    }
}

/// A decision in one word, and its reason.
fn describe(decision: &Result<Decision, String>) -> (&'static str, String) {
    match decision {
        Ok(Decision::OwnPod) => ("skip", "it is the agent's own pod".to_owned()),
        Ok(Decision::Skip(reason)) => ("skip", reason.to_string()),
        Ok(Decision::Redirect(redirection)) => ("redirect", rule_counts(&redirection.rule_sets)),
        Err(error) => ("error", error.clone()),
    }
}

/// The text, or its start if it is longer than that many bytes.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let mut starts = text.char_indices().map(|(index, _)| index);
    let end = starts.rfind(|start| *start <= most).unwrap_or_default();
    format!("{} … ({} bytes in total)", &text[..end], text.len()).into()
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_sheet_and_no_other() {
        let sum = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        assert!(
            SECURITY_POLICY.contains(&format!("style-src 'sha256-{sum}';")),
            "{sum}"
        );
    }

    #[test]
    fn a_long_text_is_shortened_between_two_characters() {
        assert_eq!(shortened("aäb", 4), "aäb");
        assert_eq!(shortened("aäb", 2), "a … (4 bytes in total)");
    }
}
