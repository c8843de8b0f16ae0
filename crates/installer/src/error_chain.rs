//! An error and its causes in one line.

use std::error::Error;
use std::iter::successors;

/// The messages of an error and its causes, outermost first, joined by `: `.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
