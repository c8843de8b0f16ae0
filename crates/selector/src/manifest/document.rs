//! From text to the one document it holds, within bounds.

use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::MAX_MANIFEST_BYTES;
use super::error::{ManifestError, ManifestFormat, SyntaxReason};

/// The deepest nesting that is read; a Pod needs about a dozen levels.
const MAX_DEPTH: usize = 64;
/// Copies that aliases make count too, so that a short text cannot become a huge document.
const MAX_SCALAR_BYTES: usize = 2 * MAX_MANIFEST_BYTES;
/// More nodes than a manifest of the longest length has in practice, copies counted.
const MAX_NODES: usize = 100_000;

/// The one document in `text`.
pub(super) fn single(text: &str) -> Result<Value, ManifestError> {
    // A byte order mark is a matter of the file, not of the document.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = if text.trim_start().starts_with('{') {
        json(text)?
    } else {
        yaml(text)?
    };
    match <[Value; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(none) if none.is_empty() => Err(ManifestError::Empty),
        Err(several) => Err(ManifestError::MultipleDocuments {
            count: several.len(),
        }),
    }
}

fn json(text: &str) -> Result<Vec<Value>, ManifestError> {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    documents
        .collect::<Result<_, _>>()
        .map_err(|error| ManifestError::Syntax {
            format: ManifestFormat::Json,
            line: error.line() as u64,
            column: error.column() as u64,
            reason: SyntaxReason(on_one_line(&without_place(&error))),
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
        let place = error.location();
        ManifestError::Syntax {
            format: ManifestFormat::Yaml,
            line: place.map_or(0, |place| place.line()),
            column: place.map_or(0, |place| place.column()),
            reason: SyntaxReason(on_one_line(&yaml_reason(&error))),
        }
    })
}

/// The parser's words, or ours where it is one of our bounds.
fn yaml_reason(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => yaml_reason(error),
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => {
            format!("more than {MAX_DEPTH} levels deep")
        }
        Error::Budget {
            breach: BudgetBreach::Nodes { .. },
            ..
        } => {
            format!("more than {MAX_NODES} values, those that aliases repeat included")
        }
        Error::Budget {
            breach: BudgetBreach::ScalarBytes { .. },
            ..
        } => {
            format!(
                "more than {MAX_SCALAR_BYTES} bytes of text, those that aliases repeat included"
            )
        }
        _ => UserMessageFormatter.format_message(error).into_owned(),
    }
}

/// The parser's words without the line and column that it adds, since our message has them.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
