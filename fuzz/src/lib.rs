//! Fuzz targets for every parser whose input comes from outside: [`TARGETS`].
//!
//! A target checks more than that a parser does not panic: what it reads is bounded, has the same
//! meaning when it is written and read again, and cannot change the appearance of a message.
#![forbid(unsafe_code)]

mod agent_answer;
mod agent_items;
mod cni_args;
mod cni_call;
mod iptables_save;
mod kernel_answers;
mod kubeconfig;
mod network_config;
mod pod;
mod prev_result;
mod property;
mod settings;
mod text;
mod zds;

/// A parser and the checks of what it returns. It panics if one of them fails.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `seeds`.
    pub name: &'static str,
    /// Parses that input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("agent_answer", agent_answer::run),
    target("agent_items", agent_items::run),
    target("cni_args", cni_args::run),
    target("cni_call", cni_call::run),
    target("iptables_save", iptables_save::run),
    target("kernel_answers", kernel_answers::run),
    target("kubeconfig", kubeconfig::run),
    target("network_config", network_config::run),
    target("pod", pod::run),
    target("prev_result", prev_result::run),
    target("settings", settings::run),
    target("text", text::run),
    target("zds", zds::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}
