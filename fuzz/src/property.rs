//! Properties that several targets check.

use std::error::Error;
use std::iter::successors;

use mesh_cni_text::is_printable;

/// A text of one line contains nothing that changes how a terminal or a log shows it.
pub(crate) fn assert_one_line(text: &str) {
    assert!(text.chars().all(is_printable), "{text:?}");
}

/// The same for an error and its causes; a value from outside is cut in each.
pub(crate) fn assert_bounded_error(error: &dyn Error) {
    for cause in successors(Some(error), |&error| error.source()) {
        let message = cause.to_string();
        assert_one_line(&message);
        assert!(message.len() < 4096, "{} bytes: {message}", message.len());
    }
}
