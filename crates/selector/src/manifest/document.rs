//! Parses a text with one document, within limits.

use mesh_cni_text::escaped;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::MAX_MANIFEST_BYTES;
use super::error::{ManifestError, ManifestFormat, SyntaxReason};

/// The maximum depth of nesting; a Pod needs about a dozen levels.
const MAX_DEPTH: usize = 64;
/// Copies made by aliases count, so that a short text cannot become a huge document.
const MAX_SCALAR_BYTES: usize = 2 * MAX_MANIFEST_BYTES;
/// The maximum number of values, copies included.
const MAX_NODES: usize = 100_000;

/// Parses the only document in `text`.
pub(super) fn single(text: &str) -> Result<Value, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = if text.trim_start().starts_with('{') {
        json(text)?
    } else {
        yaml(text)?
    };
    match <[Value; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(documents) if documents.is_empty() => Err(ManifestError::Empty),
        Err(documents) => Err(ManifestError::MultipleDocuments {
            count: documents.len(),
        }),
    }
}

fn json(text: &str) -> Result<Vec<Value>, ManifestError> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| ManifestError::Syntax {
            format: ManifestFormat::Json,
            line: error.line() as u64,
            column: error.column() as u64,
            reason: SyntaxReason(on_one_line(&json_reason(&error))),
        })
}

fn yaml(text: &str) -> Result<Vec<Value>, ManifestError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
        },
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let location = error.location();
        ManifestError::Syntax {
            format: ManifestFormat::Yaml,
            line: location.map_or(0, |location| location.line()),
            column: location.map_or(0, |location| location.column()),
            reason: SyntaxReason(on_one_line(&yaml_reason(&error))),
        }
    })
}

/// The parser's message, or our own if one of our limits is exceeded.
fn yaml_reason(error: &Error) -> String {
    let breach = match error {
        Error::AliasError { error, .. } => return yaml_reason(error),
        Error::Budget { breach, .. } => Some(breach),
        _ => None,
    };
    match breach {
        Some(BudgetBreach::Depth { .. }) => format!("more than {MAX_DEPTH} levels of nesting"),
        Some(BudgetBreach::Nodes { .. }) => {
            format!("more than {MAX_NODES} values, including those repeated by aliases")
        }
        Some(BudgetBreach::ScalarBytes { .. }) => format!(
            "more than {MAX_SCALAR_BYTES} bytes of text, including those repeated by aliases"
        ),
        _ => UserMessageFormatter.format_message(error).into_owned(),
    }
}

/// The parser's message without the line and column at its end, which our message has already.
fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let location = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&location).unwrap_or(&text).to_owned()
}

fn on_one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    escaped(&line).into_owned()
}
