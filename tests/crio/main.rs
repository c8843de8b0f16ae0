//! CRI-O with conmon and runc: sandboxes through the CRI, a restart, the modes of the installation, and
//! repair.
//!
//! These tests need root; without root they fail.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]

mod node;
mod passed_over;
mod reload;
mod repair;
mod restart;
mod sandboxes;
mod verify;
