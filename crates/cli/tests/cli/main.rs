//! Black-box tests of mesh-cnictl: stdout, stderr and exit code, without root.
#![expect(clippy::unwrap_used, reason = "a test fails on unexpected errors")]

mod diff;
mod documents;
mod explain;
mod init;
mod init_linkerd;
mod refusals;
mod render;
mod select;
mod several_pods;
mod support;
mod verify;
