//! The flags that set the mode of plugin chaining, also under their Istio CNI names.

use clap::{ArgAction, Args, ValueEnum};
use mesh_cni_installer::{Chaining, ConfName, Platform};

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
    /// Replace the entry of Istio CNI and keep its equivalent settings; without this flag, a list that
    /// contains istio-cni is an error
    #[arg(long)]
    pub(super) replace_istio_cni: bool,
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
