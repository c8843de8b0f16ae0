//! The law of the repository, as tests: what no compiler and no lint checks for us.
//!
//! Each law gathers every breach it can find and fails once, saying for each where it is, what is
//! wrong and how to mend it. To change a law is to edit its list, and a reviewer sees that line.

// What the laws share.
#[path = "tidy/breach.rs"]
mod breach;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/workspace.rs"]
mod workspace;

// The laws.
#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/quotes.rs"]
mod quotes;
#[path = "tidy/reviewed.rs"]
mod reviewed;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/words.rs"]
mod words;
