//! The arguments of `init`: its flags are those of the init command of the chosen mesh.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Args, Command, CommandFactory, ValueEnum};

use super::{Arguments, Output};
use crate::init::flags::{FLAGS, GivenFlags, linkerd};

/// The name of the command, and the one that istio-init containers use.
const NAMES: [&str; 2] = ["init", "istio-iptables"];

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    #[command(flatten)]
    pub(crate) flags: GivenFlags,
    #[command(flatten)]
    pub(crate) options: InitOptions,
}

/// What every mesh has.
#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// Mesh of the rules, and of the flags that are accepted
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mesh: InitMesh,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// The meshes whose init commands have their flags here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum InitMesh {
    /// Istio: the flags of istio-iptables
    #[default]
    Istio,
    /// Linkerd: the flags of linkerd2-proxy-init
    Linkerd,
}

impl Arguments {
    /// All commands, where `init` has the flags of the mesh that these arguments of the program name.
    pub(crate) fn command_for(words: impl Iterator<Item = OsString>) -> Command {
        let words: Vec<_> = words.collect();
        let is_init = words
            .first()
            .is_some_and(|first| NAMES.iter().any(|name| first == name));
        let is_linkerd = words.windows(2).any(|pair| {
            pair[1] == "--mesh=linkerd" || (pair[0] == "--mesh" && pair[1] == "linkerd")
        });
        if is_init && is_linkerd {
            Self::command().mut_subcommand(NAMES[0], |_| linkerd_init(NAMES[0]))
        } else {
            Self::command()
        }
    }

    /// All commands, where `init` has the long flags of every mesh.
    pub(crate) fn all_flags() -> Command {
        let of_istio: BTreeSet<_> = FLAGS.iter().map(|flag| flag.long).collect();
        let others = linkerd::FLAGS
            .iter()
            .filter(|flag| !of_istio.contains(flag.long))
            .map(|flag| flag.argument().short(None));
        Self::command().mut_subcommand(NAMES[0], |init| init.args(others))
    }

    /// `init --mesh linkerd`, for its manual page.
    pub(crate) fn linkerd_init() -> Command {
        linkerd_init("mesh-cnictl-init-linkerd")
    }
}

fn linkerd_init(name: &'static str) -> Command {
    let flags = linkerd::FLAGS.iter().map(|flag| flag.argument());
    InitOptions::augment_args(Command::new(name).args(flags))
        .about("Apply the rules, as linkerd-init does in its pod")
        .long_about(
            "Apply the rules, as linkerd-init does in its pod\n\n\
             Flags and defaults are those of linkerd2-proxy-init. A port or subnet that is not valid \
             is an error, and never left out. All rules are written in one transaction; equal rules \
             stay with their counters. Without --iptables-mode, any back end is used, not \
             iptables-legacy.",
        )
        .after_help(
            "Example: mesh-cnictl init --mesh linkerd -p 4143 -o 4140 -u 2102 \
             --inbound-ports-to-ignore 4190,4191 --simulate",
        )
}
