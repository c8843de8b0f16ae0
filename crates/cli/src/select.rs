//! `select`: the decision for a pod, and each condition with its fact.

use mesh_cni_selector::{Condition, Policy, Selection, conditions, select};
use serde::Serialize;

use crate::arguments::{Output, SelectArguments};
use crate::console::{BAD, BOLD, Console, GOOD, Styled};
use crate::failure::{Exit, Failure};
use crate::input::Case;

#[derive(Serialize)]
struct Report<'case> {
    namespace: &'case str,
    name: &'case str,
    selection: mesh_cni_selector::SelectionMode,
    #[serde(flatten)]
    decision: &'case Selection,
    conditions: &'case [Condition],
}

/// Prints the decision; the exit code says it too.
pub(crate) fn run(arguments: &SelectArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let case = Case::read(&arguments.subject, console)?;
    let policy = case.conf.policy();
    let decision = select(&case.facts, &policy).map_err(|missing| {
        Failure::wrong(missing).hint(
            "a manifest does not contain its namespace's labels: \
             remove `exclude_namespace_selector` from the configuration",
        )
    })?;
    let table = conditions(&case.facts, &policy);
    let text = match arguments.output {
        Output::Text => text(&case, &decision, &table),
        Output::Json => json(&case, &policy, &decision, &table),
    };
    console.result(&text)?;
    Ok(match decision {
        Selection::Redirect(_) => Exit::Done,
        Selection::Skip(_) => Exit::No,
    })
}

fn text(case: &Case, decision: &Selection, table: &[Condition]) -> String {
    let style = match decision {
        Selection::Redirect(_) => GOOD.bold(),
        Selection::Skip(_) => BAD,
    };
    let mut text = format!(
        "{}: {}\n\n",
        Styled(BOLD, case.pod()),
        Styled(style, decision)
    );
    let width = table.iter().map(|each| each.name.len()).max().unwrap_or(0);
    for condition in table {
        let answer = if condition.holds {
            Styled(GOOD, "yes")
        } else {
            Styled(BAD, "no ")
        };
        let line = format!("  {answer}  {:<width$}  {}", condition.name, condition.fact);
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn json(case: &Case, policy: &Policy, decision: &Selection, table: &[Condition]) -> String {
    let report = Report {
        namespace: &case.facts.namespace,
        name: &case.facts.name,
        selection: policy.selection,
        decision,
        conditions: table,
    };
    let text = serde_json::to_string_pretty(&report);
    text.expect("texts and booleans are always written as JSON") + "\n"
}
