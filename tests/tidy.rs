//! Rules of this repository that neither the compiler nor a lint checks.
//!
//! Each test collects all violations of one rule and reports for each where it is, what is wrong
//! and how to fix it. To change a rule, edit its list; the change is then visible in review.

// What the rules share.
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/violation.rs"]
mod violation;
#[path = "tidy/workspace.rs"]
mod workspace;

// The rules.
#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/plain_words.rs"]
mod plain_words;
#[path = "tidy/quotes.rs"]
mod quotes;
#[path = "tidy/reviewed.rs"]
mod reviewed;
#[path = "tidy/security.rs"]
mod security;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/subjects.rs"]
mod subjects;
