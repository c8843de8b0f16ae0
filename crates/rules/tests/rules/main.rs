//! Black-box tests of the rules crate, against the documented dump and against itself.

mod anchor;
mod compile;
mod drift;
mod listing;
mod properties;
mod save;
mod settings;
mod support;
mod transaction;
