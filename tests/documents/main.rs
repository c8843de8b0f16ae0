//! What the programs generate from their commands: completions and manual pages.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]

mod completions;
mod manual;
