//! An error and its causes as text.

use std::error::Error;
use std::iter;

/// The error and its causes, separated by `: `.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
