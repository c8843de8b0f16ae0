//! Tests that need root: the demo from end to end, and `init`, `explain`, `status` and `verify` in
//! their own network namespaces.
#![expect(clippy::unwrap_used, reason = "a test fails on unexpected errors")]

#[path = "root/control_group.rs"]
mod control_group;
#[path = "root/demo.rs"]
mod demo;
#[path = "root/explain.rs"]
mod explain;
#[path = "root/init.rs"]
mod init;
#[path = "root/init_dns.rs"]
mod init_dns;
#[path = "root/init_linkerd.rs"]
mod init_linkerd;
#[path = "root/init_tproxy.rs"]
mod init_tproxy;
#[path = "root/init_validation.rs"]
mod init_validation;
#[path = "root/machine.rs"]
mod machine;
#[path = "root/node.rs"]
mod node;
#[path = "../src/schemas/check.rs"]
mod schema;
#[path = "root/scratch.rs"]
mod scratch;
#[path = "root/status.rs"]
mod status;
#[path = "root/verify.rs"]
mod verify;
#[path = "root/verify_own_init.rs"]
mod verify_own_init;
