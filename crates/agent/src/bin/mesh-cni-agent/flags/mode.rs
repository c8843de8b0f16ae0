//! The flags that set the mode of plugin chaining, also under their Istio CNI names.

use std::collections::BTreeSet;

use clap::{ArgAction, Args, ValueEnum};
use mesh_cni_installer::{Chaining, ConfName, Peer, Platform};
use mesh_cni_plan::PLUGIN_TYPE;

use crate::failure::Failure;

#[derive(Args)]
#[command(next_help_heading = "Plugin chaining")]
pub(super) struct ModeFlags {
    /// The mode; overrides --chained and --owned-cni-config
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    /// `true` is mode chained, `false` is mode stand-alone [default: what the platform needs, or true]
    #[arg(long, env = "CHAINED_CNI_PLUGIN", value_name = "BOOL", action = ArgAction::Set)]
    chained: Option<bool>,
    /// `true` is mode owned-first
    #[arg(long, env = "ISTIO_OWNED_CNI_CONFIG", value_name = "BOOL", action = ArgAction::Set)]
    owned_cni_config: Option<bool>,
    /// The file name of the copy in mode owned-first [default: 02-mesh-cni.conflist]
    #[arg(long, env = "ISTIO_OWNED_CNI_CONFIG_FILENAME", value_name = "NAME")]
    owned_cni_config_filename: Option<String>,
    /// The name of the network in mode stand-alone, by which pods request it; Kuma's pods request
    /// kuma-cni
    #[arg(long, value_name = "NAME", default_value = PLUGIN_TYPE)]
    pub(super) network_name: String,
    /// Replace the entries of these plugins (istio-cni, linkerd-cni, kuma-cni) and keep their equivalent
    /// settings; without this flag, a list that contains such a plugin of a mesh in --profile is an error
    #[arg(long, value_name = "PLUGIN", value_delimiter = ',')]
    replace: Vec<Peer>,
    /// The same as --replace istio-cni
    #[arg(long)]
    replace_istio_cni: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Adds the plugin as the last one of the network's own list
    Chained,
    /// Writes a network with only mesh-cni, for meta-plugins such as Multus (file
    /// YYY-mesh-cni.conflist or --cni-conf-name)
    StandAlone,
    /// Adds the plugin as the last one of a copy of the network's list. The copy is before the
    /// original in the order of names and follows its changes; the original is not changed
    OwnedFirst,
    /// Writes a file into the directory of the network, for runtimes with libcni 1.3 or newer. The
    /// network's own file is not changed. With an older runtime, no pod is redirected
    DropIn,
}

impl ModeFlags {
    pub(super) fn chaining(&self, platform: Option<&Platform>) -> Chaining {
        match (self.mode, self.owned_cni_config, self.chained) {
            (Some(Mode::Chained), ..) | (None, None | Some(false), Some(true)) => Chaining::Chained,
            (Some(Mode::StandAlone), ..) | (None, None | Some(false), Some(false)) => {
                Chaining::StandAlone
            }
            (Some(Mode::OwnedFirst), ..) | (None, Some(true), _) => Chaining::OwnedFirst,
            (Some(Mode::DropIn), ..) => Chaining::DropIn,
            (None, None | Some(false), None) => {
                platform.map_or(Chaining::Chained, |platform| platform.chaining)
            }
        }
    }

    pub(super) fn replaced(&self) -> BTreeSet<Peer> {
        peers(&self.replace, self.replace_istio_cni)
    }

    pub(super) fn owned_name(&self) -> Result<Option<ConfName>, Failure> {
        let name = self
            .owned_cni_config_filename
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(ConfName::new)
            .transpose()
            .map_err(|error| {
                let hint = "set --owned-cni-config-filename to the file name of the copy";
                Failure::wrong_use(&error, hint)
            })?;
        Ok(name.map(|name| name.as_list()))
    }
}

/// The named peers, and Istio CNI if the flag of its own is set.
pub(super) fn peers(named: &[Peer], istio_cni: bool) -> BTreeSet<Peer> {
    let istio_cni = istio_cni.then_some(Peer::IstioCni);
    named.iter().copied().chain(istio_cni).collect()
}
