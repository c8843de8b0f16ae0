//! How the plugin comes to be called: one mode, by any of the names that operators know.

use clap::{ArgAction, Args, ValueEnum};
use mesh_cni_installer::{Chaining, ConfName, Platform};

use crate::report::Failure;

#[derive(Args)]
#[command(next_help_heading = "How the plugin comes to be called")]
pub(super) struct ModeFlags {
    /// The mode; wins over --chained and --owned-cni-config
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    /// `true` is mode chained, `false` is mode stand-alone [default: as the platform needs it, else
    /// true]
    #[arg(long, env = "CHAINED_CNI_PLUGIN", value_name = "BOOL", action = ArgAction::Set)]
    chained: Option<bool>,
    /// `true` is mode owned-first
    #[arg(long, env = "ISTIO_OWNED_CNI_CONFIG", value_name = "BOOL", action = ArgAction::Set)]
    owned_cni_config: Option<bool>,
    /// What the copy of mode owned-first is called [default: 02-mesh-cni.conflist]
    #[arg(long, env = "ISTIO_OWNED_CNI_CONFIG_FILENAME", value_name = "NAME")]
    owned_cni_config_filename: Option<String>,
    /// Take the place of Istio CNI's entry, with those of its settings that mean the same; without
    /// it, a list that names istio-cni is refused
    #[arg(long)]
    pub(super) replace_istio_cni: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// The last plugin of the network's own list
    Chained,
    /// A network of mesh-cni alone, for Multus and the like (file YYY-mesh-cni.conflist or
    /// --cni-conf-name)
    StandAlone,
    /// The last plugin of a copy of the network's list, which goes before it and is kept in step
    /// with it: the network's own file is not touched
    OwnedFirst,
    /// A file in the directory of the network, for runtimes with libcni 1.3 and newer: the
    /// network's own file is not touched. With an older runtime, no pod is redirected
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
        let given = self.owned_cni_config_filename.as_deref();
        let given = given.filter(|name| !name.is_empty());
        let name = given.map(ConfName::new).transpose().map_err(|error| {
            Failure::wrong_use(&error, "name the copy with --owned-cni-config-filename")
        })?;
        Ok(name.map(|name| name.as_list()))
    }
}
