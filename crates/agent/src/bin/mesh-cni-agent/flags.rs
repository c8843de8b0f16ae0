//! The commands and their flags, and the settings that they define.

mod ambient;
mod entry;
mod kubeconfig;
mod mode;
mod paths;
mod repair;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use mesh_cni_installer::{
    BinaryRemoval, ConfName, Entry, NodePaths, Peer, Settings, UninstallOptions,
};

use crate::failure::Failure;
use entry::EntryFlags;
use kubeconfig::KubeconfigFlags;
use mode::ModeFlags;
pub(crate) use paths::PathFlags;
pub(crate) use run::Run;

/// The program's name.
pub(crate) const NAME: &str = "mesh-cni-agent";

/// The node agent of mesh-cni: installs the plugin and its entry on a node, and removes them. If a
/// command is killed at any point, the runtime can still load its network configuration, and running
/// the command again completes the work.
#[derive(Parser)]
#[command(name = NAME, version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 success, 1 `status` found a problem, 2 wrong use or bad input, 3 the \
                        environment failed."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Install(Box<Install>),
    Run(Box<Run>),
    Uninstall(Uninstall),
    Status(StatusFlags),
    Pods(PodsFlags),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: mesh-cni-agent completions bash > /etc/bash_completion.d/mesh-cni-agent"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of the program, or write the pages of all commands
    #[command(after_help = "Example: mesh-cni-agent man --dir /usr/local/share/man/man1")]
    Man {
        /// Write a page for the program and one for each command to this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Install the binary and the entry, and exit
#[derive(Args)]
#[command(
    after_help = "Example: mesh-cni-agent install --exclude-namespaces kube-system \
                        --pod-source agent --wait 300"
)]
pub(crate) struct Install {
    #[command(flatten)]
    installation: InstallationFlags,
    /// How long to wait for a network configuration if there is none yet
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u32,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// What to install.
#[derive(Args)]
pub(crate) struct InstallationFlags {
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

/// Remove the entry and the binary, and restore a converted configuration
///
/// The entry is removed first. Kubeconfig, socket, log and binary follow when the runtime has had time
/// to load the list. The binary is kept while a sandbox exists that was created with it, because the
/// runtime may call its DEL, which does nothing, and while another plugin's configuration names it. Run
/// the command again later to remove the binary.
#[derive(Args)]
#[command(
    after_help = "Example: mesh-cni-agent uninstall --cni-conf-dir /host/etc/cni/net.d \
                        --cni-bin-dir /host/opt/cni/bin"
)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    paths: PathFlags,
    /// How long the runtime gets to load the list before the binary is removed
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    grace: u32,
    /// Restore the entries of these plugins (istio-cni, linkerd-cni, kuma-cni) that an install replaced,
    /// except those that the plugin's own agent has restored or whose binary or kubeconfig is missing
    #[arg(long, value_name = "PLUGIN", value_delimiter = ',')]
    restore: Vec<Peer>,
    /// The same as --restore istio-cni
    #[arg(long)]
    restore_istio_cni: bool,
    /// Keep the binary in any case
    #[arg(long, conflicts_with = "remove_binary")]
    keep_binary: bool,
    /// Remove the binary even if sandboxes exist that were created with it
    #[arg(long)]
    remove_binary: bool,
    /// The runtime's CNI cache, which contains the plugins of each sandbox, with Multus's in a directory
    /// below it [default: /var/lib/cni]
    #[arg(long, value_name = "DIR")]
    cni_cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// Report whether binary and entry are installed, and the state of the agent if one runs
///
/// The agent is `running` or `updating`, with the reason. Exit code 0 if nothing is wrong, 1 otherwise: also
/// without an agent, if the plugin's pod source is `agent`.
#[derive(Args)]
#[command(after_help = "Example: mesh-cni-agent status --output json")]
pub(crate) struct StatusFlags {
    #[command(flatten)]
    pub(crate) paths: PathFlags,
    #[command(flatten)]
    pub(crate) plugin_binary: PluginBinary,
    #[command(flatten)]
    pub(crate) conf_name: ConfNameFlag,
    /// Only ask the agent of this container on its socket: exit code 0 if it is `live` or `ready`
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) probe: Option<Probe>,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// List the pods of this node: the decision for each, whether its rules are applied, failed ADDs
///
/// Asks the agent on its socket. If the agent does not watch pods, the list has those whose ADD plugins
/// reported since the agent started.
#[derive(Args)]
#[command(after_help = "Example: mesh-cni-agent pods --output json")]
pub(crate) struct PodsFlags {
    #[command(flatten)]
    pub(crate) paths: PathFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// What a probe of the kubelet asks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Probe {
    /// Whether the agent responds
    Live,
    /// Whether every check passes
    Ready,
}

#[derive(Args)]
pub(crate) struct PluginBinary {
    /// The plugin binary to install [default: mesh-cni next to this program]
    #[arg(long, value_name = "FILE")]
    plugin_binary: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ConfNameFlag {
    /// The network configuration to change [default: the first one in the order of names, which is
    /// the one that the runtime uses]
    #[arg(long, env = "CNI_CONF_NAME", value_name = "NAME")]
    cni_conf_name: Option<String>,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct OutputFlag {
    /// The format of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Text,
    /// JSON for programs
    Json,
}

impl Install {
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        self.installation.settings()
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait.into())
    }
}

impl InstallationFlags {
    fn settings(&self) -> Result<Settings, Failure> {
        let mut fields = self.entry.fields()?;
        let api_server = self.kubeconfig.api_server(&mut fields)?;
        let entry = Entry::new(fields).map_err(|error| {
            Failure::wrong_use(
                &error,
                "fix the field with its flag, or in the --conf-entry file",
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
        settings.replace = self.mode.replaced();
        settings.network_name.clone_from(&self.mode.network_name);
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
            restore: mode::peers(&self.restore, self.restore_istio_cni),
        }
    }
}

impl PluginBinary {
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.plugin_binary {
            return Ok(path.clone());
        }
        let own = std::env::current_exe().map_err(|error| {
            Failure::environment(
                &error,
                "set the path of the mesh-cni binary with --plugin-binary",
            )
        })?;
        Ok(own.with_file_name("mesh-cni"))
    }
}

impl ConfNameFlag {
    /// Charts set the variable to an empty string for the default.
    pub(crate) fn name(&self) -> Result<Option<ConfName>, Failure> {
        self.cni_conf_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(ConfName::new)
            .transpose()
            .map_err(|error| {
                let hint = "set --cni-conf-name to the name of a file in --cni-conf-dir";
                Failure::wrong_use(&error, hint)
            })
    }
}
