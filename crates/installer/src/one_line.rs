//! An error and its causes in one line.

use std::error::Error;
use std::iter::successors;

/// The messages of an error and of each of its causes, outermost first.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
