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
mod walk;
mod walk_mechanics;
mod walk_properties;
mod walk_replay;
mod walk_text;
