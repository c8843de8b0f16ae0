//! Tests that need root: the demo from end to end, and `init` in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "root/demo.rs"]
mod demo;
#[path = "root/init.rs"]
mod init;
#[path = "root/machine.rs"]
mod machine;
