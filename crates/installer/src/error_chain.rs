//! An error and its causes in one line.

use std::error::Error;

use error_reporter::Report;

/// The messages of an error and its causes, outermost first, joined by `: `.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    Report::new(error).to_string()
}
