//! Parses a text of JSON or YAML documents, within limits.

use mesh_cni_text::escaped;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::error::{ManifestError, ManifestFormat, SyntaxReason};

/// The maximum depth of nesting; a Pod needs about a dozen levels.
const MAX_DEPTH: usize = 64;
/// More separators between documents are an error.
const MAX_DOCUMENTS: usize = 100_000;

/// What a text may contain at most.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The length of the text in bytes.
    pub(super) bytes: usize,
    /// The number of YAML values, copies made by aliases included.
    pub(super) nodes: usize,
}

impl Limits {
    /// Copies made by aliases count, so that a short text cannot become a huge document.
    fn scalar_bytes(self) -> usize {
        2 * self.bytes
    }
}

/// Parses the only document in `text`.
pub(super) fn single(text: &str, limits: Limits) -> Result<Value, ManifestError> {
    let [document] = <[Value; 1]>::try_from(all(text, limits)?).map_err(|documents| {
        ManifestError::MultipleDocuments {
            count: documents.len(),
        }
    })?;
    Ok(document)
}

/// Parses the documents in `text`, at least one.
pub(super) fn all(text: &str, limits: Limits) -> Result<Vec<Value>, ManifestError> {
    if text.len() > limits.bytes {
        return Err(ManifestError::TooLarge {
            bytes: text.len(),
            limit: limits.bytes,
        });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = if text.trim_start().starts_with('{') {
        json(text)?
    } else {
        yaml(text, limits)?
    };
    if documents.is_empty() {
        return Err(ManifestError::Empty);
    }
    Ok(documents)
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

fn yaml(text: &str, limits: Limits) -> Result<Vec<Value>, ManifestError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_documents: MAX_DOCUMENTS,
            max_events: limits.nodes.saturating_mul(3),
            max_nodes: limits.nodes,
            max_total_scalar_bytes: limits.scalar_bytes(),
        },
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let location = error.location();
        ManifestError::Syntax {
            format: ManifestFormat::Yaml,
            line: location.map_or(0, |location| location.line()),
            column: location.map_or(0, |location| location.column()),
            reason: SyntaxReason(on_one_line(&yaml_reason(&error, limits))),
        }
    })
}

/// The parser's message, or our own if one of our limits is exceeded.
fn yaml_reason(error: &Error, limits: Limits) -> String {
    let breach = match error {
        Error::AliasError { error, .. } => return yaml_reason(error, limits),
        Error::Budget { breach, .. } => Some(breach),
        _ => None,
    };
    match breach {
        Some(BudgetBreach::Depth { .. }) => format!("more than {MAX_DEPTH} levels of nesting"),
        Some(BudgetBreach::Nodes { .. }) => {
            let nodes = limits.nodes;
            format!("more than {nodes} values, including those repeated by aliases")
        }
        Some(BudgetBreach::ScalarBytes { .. }) => format!(
            "more than {} bytes of text, including those repeated by aliases",
            limits.scalar_bytes()
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
