//! Black-box tests of the plugin: the binary called as a container runtime calls it. No root: what
//! would program a namespace is tested in the package `mesh-cni-tests`.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod journal;
mod pass_through;
mod play;
mod properties;
mod refusals;
mod sources;
mod status;
mod support;
