//! What the programs generate from their commands: completions and manual pages.

#![forbid(unsafe_code)]

mod completions;
mod manual;
