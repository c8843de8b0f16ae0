//! The page for people: the state of the node, the decision and the rules of each pod, and the walk of
//! a packet. HTML without scripts and without resources of other servers.

mod pod;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use mesh_cni_agent_api::{
    AgentStatus, AmbientStatus, BrokenPod, CheckStatus, ListedPod, PodDecision, PodList,
    PodListSource, RepairStatus, RulesApplied,
};

pub(crate) use pod::page as pod;
pub(crate) use walk::{WalkQuery, page as walk};

/// What a browser may do with the page: show it with its one style sheet, and send its form to the
/// agent.
pub(crate) const SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-ZWFYdSoYJTuFsjNx7SnMs7B1qewxuK5cCIElX16cpaQ='; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How many pods the start page shows at a time.
pub(crate) const PODS: usize = 200;

/// The longest text in one cell of a table, in bytes. A tenant's annotation can be part of it.
const MAX_CELL_BYTES: usize = 500;

/// The longest listing, in bytes.
const MAX_LISTING_BYTES: usize = 64 * 1024;

/// Readable on a phone, in both color schemes, and without color. On a narrow screen each row of a
/// table is a block of lines with the titles of its columns.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8886}\
th{overflow-wrap:normal;min-width:5.5rem}\
code,pre{font:.85em/1.5 ui-monospace,monospace}\
pre{white-space:pre-wrap;padding:.75rem;border:1px solid #8886;border-radius:.25rem}\
input,select,button{font:inherit;padding:.25rem .5rem;max-width:100%;box-sizing:border-box}\
form input{width:34rem}\
label{display:block;margin:.5rem 0}\
small{display:block}\
.word{font-weight:bold;overflow-wrap:normal}\
.state{border-left:.4rem solid;padding-left:.75rem}\
.running{border-color:#2a7}\
.running,.good{color:light-dark(#064,#6da)}\
.updating,.error,.bad{border-color:#c60;color:light-dark(#930,#fb7)}\
@media(max-width:48rem){\
thead{display:none}\
tr{display:block;padding:.5rem 0;border-bottom:1px solid #8886}\
td{display:block;padding:0;border:0}\
td[data-title]:before{content:attr(data-title) ': ';opacity:.75}\
td small{display:inline}\
}\
";

/// The start page with a part of the list of pods, of which `first` come before it.
pub(crate) fn node(status: &AgentStatus, first: usize, pods: &PodList) -> Markup {
    let state = status.state.as_str();
    let backend = status.backend.name.as_deref().unwrap_or("none");
    document(
        &format!("mesh-cni on {}", status.node),
        &html! {
            p.state.(state) { strong { (state) } " " (prose(&status.why)) }
            (checks(&status.checks))
            p {
                "Back end: " (backend) " (" (prose(&status.backend.detail)) ")."
                @if let Some(age) = status.watch_age_seconds {
                    " The API server last sent something " (format!("{age:.0}")) " s ago."
                }
                " Agent " (status.version) "."
            }
            @if let Some(status) = &status.repair { (repair(status)) }
            @if let Some(status) = &status.ambient { (ambient(status)) }
            @if !status.warnings.is_empty() { (warnings(&status.warnings)) }
            (walk::form(&WalkQuery::default()))
            (pod_table(first, pods))
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

/// A table. Each row is a list of cells.
fn table<const N: usize>(titles: [&str; N], rows: &[[Markup; N]]) -> Markup {
    html! {
        table {
            thead { tr { @for title in titles { th { (title) } } } }
            tbody {
                @for cells in rows {
                    tr { @for (title, cell) in titles.iter().zip(cells) { td data-title=(title) { (cell) } } }
                }
            }
        }
    }
}

/// Text of at most [`MAX_CELL_BYTES`], with what is in back-ticks as code.
fn prose(text: &str) -> Markup {
    let text = shortened(text, MAX_CELL_BYTES);
    let parts: Vec<_> = text.split('`').collect();
    // Without its partner, the last back-tick is a character like any other.
    let (parts, rest) = match parts.as_slice() {
        [parts @ .., before, after] if parts.len() % 2 == 0 => (parts, Some((before, after))),
        parts => (parts, None),
    };
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if index % 2 == 0 { (part) } @else { code { (part) } }
        }
        @if let Some((before, after)) = rest { (before) "`" (after) }
    }
}

fn text(text: impl maud::Render) -> Markup {
    text.render()
}

fn checks(checks: &[CheckStatus]) -> Markup {
    let row = |check: &CheckStatus| {
        let ready = yes_or_no(check.ready);
        [text(&check.name), text(ready), prose(&check.detail)]
    };
    let rows: Vec<_> = checks.iter().map(row).collect();
    html! { h2 { "Checks" } (table(["Check", "Ready", "Details"], &rows)) }
}

fn repair(status: &RepairStatus) -> Markup {
    html! {
        h2 { "Repair" }
        p {
            "Actions for broken pods: " (status.remedies.join(", ")) ". "
            (status.done) " done, " (status.failed) " failed, " (status.broken) " broken now."
        }
        @if !status.pods.is_empty() { (broken_pods(&status.pods)) }
    }
}

fn ambient(status: &AmbientStatus) -> Markup {
    html! {
        h2 { "Ambient mode" }
        p { (status.to_string()) "." }
        @if !status.broken.is_empty() { (broken_pods(&status.broken)) }
    }
}

fn broken_pods(pods: &[BrokenPod]) -> Markup {
    let row = |broken: &BrokenPod| [text(&broken.pod), prose(&broken.why)];
    let rows: Vec<_> = pods.iter().map(row).collect();
    table(["Pod", "Why it is broken"], &rows)
}

fn warnings(counts: &BTreeMap<String, u64>) -> Markup {
    let rows: Vec<_> = counts
        .iter()
        .map(|(code, count)| [text(code), text(count)])
        .collect();
    html! { h2 { "Warnings about redirected pods" } (table(["Code", "Reports"], &rows)) }
}

fn pod_table(first: usize, list: &PodList) -> Markup {
    let next = first + list.pods.len();
    let rows: Vec<_> = list
        .pods
        .iter()
        .map(|pod| pod_row(pod, list.source))
        .collect();
    let titles = [
        "Namespace",
        "Pod",
        "Phase",
        "Mesh",
        "Decision",
        "Rules applied?",
        "Reason",
    ];
    html! {
        h2 { "Pods of this node (" (list.total) ")" }
        @if let Some(note) = &list.note { p { "Note: " (prose(note)) "." } }
        @if list.total == 0 {
            p { "No pods are known." }
        } @else {
            @if rows.len() < list.total { p { "Pods " (first + 1) " to " (next) "." } }
            (table(titles, &rows))
            @if first > 0 { p { a href={ "/?from=" (first.saturating_sub(PODS)) } { "previous" } } }
            @if next < list.total { p { a href={ "/?from=" (next) } { "next" } } }
        }
    }
}

fn pod_row(pod: &ListedPod, source: PodListSource) -> [Markup; 7] {
    let (namespace, name) = (&pod.namespace, &pod.name);
    let name = if source == PodListSource::Watch {
        html! { a href={ "/pods/" (namespace) "/" (name) } { (name) } }
    } else {
        text(name)
    };
    let decision = match pod.decision {
        PodDecision::Redirect | PodDecision::Enrol => "good",
        PodDecision::Refuse => "bad",
        PodDecision::Skip | PodDecision::Unknown => "",
    };
    let rules = match (pod.rules, pod.decision) {
        (RulesApplied::Yes, _) => "good",
        (RulesApplied::Drifted, _)
        | (RulesApplied::No, PodDecision::Redirect | PodDecision::Enrol) => "bad",
        (RulesApplied::No | RulesApplied::Unknown, _) => "",
    };
    [
        text(namespace),
        name,
        text(if pod.phase.is_empty() {
            "unknown"
        } else {
            &pod.phase
        }),
        text(pod.mesh.as_deref().unwrap_or_default()),
        html! { span.word.(decision) { (pod.decision.as_str()) } },
        html! {
            span.word.(rules) { (pod.rules.as_str()) }
            @if let Some(detail) = &pod.rules_detail { small { " " (prose(detail)) } }
        },
        html! {
            (prose(&pod.reason))
            @if let Some(ambient) = &pod.ambient {
                small { " " (prose(&ambient.to_string())) "." }
            }
            @if let Some(refusals) = &pod.refusals {
                small {
                    " Failed ADDs: " (refusals.count) ", the last with code " (refusals.code)
                    @if !refusals.message.is_empty() { ": " (prose(&refusals.message)) }
                    "."
                }
            }
        },
    ]
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
    fn text_in_back_ticks_is_code() {
        for (text, html) in [
            ("a `b` c `<d>`", "a <code>b</code> c <code>&lt;d&gt;</code>"),
            ("`a` b` c", "<code>a</code> b` c"),
            ("no code", "no code"),
            ("`", "`"),
            ("", ""),
        ] {
            assert_eq!(prose(text).0, html);
        }
    }

    #[test]
    fn a_long_text_is_shortened_between_two_characters() {
        assert_eq!(shortened("aäb", 4), "aäb");
        assert_eq!(shortened("aäb", 2), "a … (4 bytes in total)");
    }
}
