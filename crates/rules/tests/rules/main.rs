//! Tests of the public interface of the rules crate.

mod ambient;
mod anchor;
mod compile;
mod complete;
mod kuma;
mod linkerd;
mod properties;
mod reject_ipv6;
mod settings;
mod support;
mod walk;
mod walk_replay;
