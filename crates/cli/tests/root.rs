//! Tests that need root: the demo from end to end, and `init` in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "root/demo.rs"]
mod demo;
#[path = "root/explain.rs"]
mod explain;
#[path = "root/init.rs"]
mod init;
#[path = "root/init_dns.rs"]
mod init_dns;
#[path = "root/init_tproxy.rs"]
mod init_tproxy;
#[path = "root/init_validation.rs"]
mod init_validation;
#[path = "root/machine.rs"]
mod machine;
#[path = "root/scratch.rs"]
mod scratch;
