//! The flags, and the settings that they stand for.

mod entry;
mod kubeconfig;
mod mode;
mod paths;
mod repair;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mesh_cni_installer::{BinaryRemoval, ConfName, Entry, NodePaths, Settings, UninstallOptions};

use crate::report::Failure;
use entry::EntryFlags;
use kubeconfig::KubeconfigFlags;
use mode::ModeFlags;
pub(crate) use paths::PathFlags;
pub(crate) use run::Run;

/// The node agent of mesh-cni: puts the plugin and its chain entry on a node, and takes them out
/// again. A run that is killed at any point leaves a network that the runtime can load, and is
/// mended by running it again.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad input, 3 the \
                        environment failed."
)]
pub(crate) struct Agent {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Install(Box<Install>),
    Run(Box<Run>),
    Uninstall(Uninstall),
    Status(StatusFlags),
}

/// Put the binary and the chain entry in place, once.
#[derive(Args)]
#[command(
    after_help = "Example: mesh-cni-agent install --exclude-namespaces kube-system \
                        --pod-source agent --wait 300"
)]
pub(crate) struct Install {
    #[command(flatten)]
    what: WhatFlags,
    /// How long to wait for a network configuration that is not there yet
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u32,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// What is put in place.
#[derive(Args)]
pub(crate) struct WhatFlags {
    #[command(flatten)]
    paths: PathFlags,
    #[command(flatten)]
    plugin_binary: PluginBinary,
    #[command(flatten)]
    conf_name: ConfNameFlag,
    #[command(flatten)]
    mode: ModeFlags,
    #[command(flatten)]
    kubeconfig: KubeconfigFlags,
    #[command(flatten)]
    entry: EntryFlags,
}

/// Take the chain entry and the binary out again, and put back what was converted
///
/// The entry goes first; kubeconfig, socket, log and binary follow when the runtime has had time to
/// load the list. The binary stays while a sandbox that was made with it is there: a runtime may
/// call its DEL, which does nothing. Run it again to remove the binary later.
#[derive(Args)]
#[command(
    after_help = "Example: mesh-cni-agent uninstall --cni-conf-dir /host/etc/cni/net.d \
                        --cni-bin-dir /host/opt/cni/bin"
)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    paths: PathFlags,
    /// How long the runtime may take to load the list before the binary goes
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    grace: u32,
    /// Put the entry of Istio CNI back that an install has replaced
    #[arg(long)]
    restore_istio_cni: bool,
    /// Leave the binary in any case
    #[arg(long, conflicts_with = "remove_binary")]
    keep_binary: bool,
    /// Remove the binary in any case
    #[arg(long)]
    remove_binary: bool,
    /// The runtime's CNI cache, which tells what sandboxes were made with [default: /var/lib/cni]
    #[arg(long, value_name = "DIR")]
    cni_cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// Say whether binary and entry are in place, and where an agent runs, whether it is running or
/// updating, and why; exit code 0 if all is well, 1 if not.
#[derive(Args)]
#[command(after_help = "Example: mesh-cni-agent status --output json")]
pub(crate) struct StatusFlags {
    #[command(flatten)]
    pub(crate) paths: PathFlags,
    #[command(flatten)]
    pub(crate) plugin_binary: PluginBinary,
    #[command(flatten)]
    pub(crate) conf_name: ConfNameFlag,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

#[derive(Args)]
pub(crate) struct PluginBinary {
    /// The plugin to install [default: mesh-cni beside this program]
    #[arg(long, value_name = "FILE")]
    plugin_binary: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ConfNameFlag {
    /// The network configuration to work on [default: the first one in the order of names, which
    /// is the one that the runtime takes]
    #[arg(long, env = "CNI_CONF_NAME", value_name = "NAME")]
    cni_conf_name: Option<String>,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct OutputFlag {
    /// What stdout is for
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Install {
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        self.what.settings()
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait.into())
    }
}

impl WhatFlags {
    fn settings(&self) -> Result<Settings, Failure> {
        let mut fields = self.entry.fields()?;
        let api_server = self.kubeconfig.api_server(&mut fields)?;
        let entry = Entry::new(fields).map_err(|error| {
            Failure::wrong_use(
                &error,
                "mend the field by its flag, or in the --conf-entry file",
            )
        })?;
        let mut settings = Settings::new(self.paths.paths()?, entry);
        settings.paths.run_dir = self.paths.run_dir(&settings.entry.conf().cni_agent_run_dir);
        settings.plugin_binary = self.plugin_binary.path()?;
        settings.conf_name = self.conf_name.name()?;
        settings.chaining = self.mode.chaining(self.paths.platform()?);
        if let Some(name) = self.mode.owned_name()? {
            settings.owned_name = name;
        }
        settings.replace_istio_cni = self.mode.replace_istio_cni;
        settings.api_server = api_server;
        settings
            .account_dir
            .clone_from(&self.kubeconfig.service_account_dir);
        Ok(settings)
    }
}

impl Uninstall {
    pub(crate) fn paths(&self) -> Result<NodePaths, Failure> {
        let mut paths = self.paths.paths()?;
        if let Some(cache_dir) = &self.cni_cache_dir {
            paths.cache_dir.clone_from(cache_dir);
        }
        Ok(paths)
    }

    pub(crate) fn uninstall_options(&self) -> UninstallOptions {
        UninstallOptions {
            binary: if self.keep_binary {
                BinaryRemoval::Never
            } else if self.remove_binary {
                BinaryRemoval::Always
            } else {
                BinaryRemoval::WhenUnused
            },
            grace: Duration::from_secs(self.grace.into()),
            restore_istio_cni: self.restore_istio_cni,
        }
    }
}

impl PluginBinary {
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.plugin_binary {
            return Ok(path.clone());
        }
        let own = std::env::current_exe().map_err(|error| {
            Failure::environment(&error, "set the path of the mesh-cni binary with --plugin-binary")
        })?;
        Ok(own.with_file_name("mesh-cni"))
    }
}

impl ConfNameFlag {
    /// Charts set the variable to nothing where they mean the default.
    pub(crate) fn name(&self) -> Result<Option<ConfName>, Failure> {
        let given = self.cni_conf_name.as_deref();
        let given = given.filter(|name| !name.is_empty());
        given.map(ConfName::new).transpose().map_err(|error| {
            Failure::wrong_use(&error, "name a file of --cni-conf-dir with --cni-conf-name")
        })
    }
}
