//! Proof against the kernel: the plugin called as runtimes call it, real rules, real connections.
//!
//! Needs root; without it these tests fail, they do not skip.

mod chain;
mod faults;
mod plugin;
mod traffic;
