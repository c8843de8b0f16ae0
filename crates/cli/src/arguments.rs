//! The commands, their flags and their help, as clap's derive reads them.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use mesh_cni_selector::is_dns_subdomain;

use crate::init::flags::GivenFlags;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Sidecar traffic interception, for people: decide, render, program, demonstrate
#[derive(Debug, Parser)]
#[command(
    name = "mesh-cnictl",
    version,
    styles = STYLES,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit code: 0 done, 1 the answer is no, 2 wrong use or bad input, \
                  3 the environment failed.\n\
                  Example: mesh-cnictl render --pod pod.yaml"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say whether a pod's traffic would be redirected, and why
    ///
    /// Exit code 0: it would. 1: it would not.
    #[command(after_help = "Example: kubectl get pod NAME -o yaml | mesh-cnictl select --pod -")]
    Select(SelectArguments),
    /// Print the rules that a pod would get
    ///
    /// Exit code 1: none, for the reason on stderr.
    #[command(after_help = "Example: mesh-cnictl render --pod pod.yaml --format restore")]
    Render(RenderArguments),
    /// Follow a packet through the rules: each rule it meets, and where it ends
    ///
    /// Through the rules that a pod would get, or through those that stand in a namespace now
    /// (needs root). A packet is `in|out tcp|udp ADDRESS:PORT` and options: `from ADDRESS[:PORT]`,
    /// `iface NAME`, `uid N`, `gid N`, `mark N`, `connmark N`, `state new|established|related|invalid`,
    /// `reply`, `size BYTES`. Exit code 1: a packet could not be followed to its end.
    #[command(
        after_help = "Example: mesh-cnictl explain --pod pod.yaml --packet 'out tcp 10.0.0.7:9080 uid 1000'"
    )]
    Explain(ExplainArguments),
    /// Compare the rules that stand in a pod with those that it should have
    ///
    /// Prints what stands as `iptables -t nat -L -n -v --line-numbers -x` does, with live counters,
    /// then says whether it is what the pod should have, and if not, what differs first and what
    /// that means for its traffic. The pod's facts come from the agent of this node, from the
    /// directory of manifests of its configuration, or from --manifest. Needs root. Exit code 1:
    /// the rules are not as wanted. 3: also where there is nothing to compare with.
    #[command(
        after_help = "Example: mesh-cnictl verify --pod default/productpage-v1-5c7b6d9f4-abcde"
    )]
    Verify(VerifyArguments),
    /// Program the rules, as istio-init does in its pod
    ///
    /// Flags, environment names and defaults are those of Istio's istio-iptables command. A flag
    /// wins over its environment variable; an empty variable counts as unset. Exit code 126:
    /// --run-validation found that the rules do not redirect.
    ///
    /// The arguments of an istio-init container work unchanged: they may begin with the word
    /// istio-iptables, here and in place of init, and Istio's logging options are accepted.
    #[command(
        alias = "istio-iptables",
        after_help = "Example: mesh-cnictl init -p 15001 -z 15006 -u 1337 -m REDIRECT \
                      -i '*' -b '*' -d 15020,15021,15090 --dry-run"
    )]
    Init(GivenFlags),
    /// Show on this machine, without a cluster, how a pod's traffic goes through its proxy
    ///
    /// Two pods in network namespaces of their own, the reference plugin bridge and then mesh-cni
    /// called as a container runtime calls them, real requests, the documented dump. Everything is
    /// gone afterwards. Needs root. Exit code 1: something was not as documented.
    #[command(after_help = "Example: sudo mesh-cnictl demo --keep")]
    Demo(DemoArguments),
    /// Show the node at a glance: kernel, back ends, the choice of `auto`, the plugin, the agent
    ///
    /// Needs root. Exit code 0: an ADD would work. 1: it would not: no back end works, the plugin is
    /// not installed, or the agent is not ready or does not answer. 2: wrong use. 3: the node cannot
    /// be looked at. Where no agent has run, its part is left out of the answer.
    #[command(after_help = "Example: sudo mesh-cnictl status --output json")]
    Status(StatusArguments),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: mesh-cnictl completions bash > /etc/bash_completion.d/mesh-cnictl"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example: mesh-cnictl man > /usr/share/man/man1/mesh-cnictl.1")]
    Man,
}

/// A pod, and the configuration under which it is looked at.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    /// The pod's manifest, YAML or JSON; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) pod: PathBuf,
    /// The plugin's entry of a network configuration, or a whole list that has it; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SelectArguments {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// How the rules are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// 4 or 6 [default: 4, and 6 where `status.podIPs` of the manifest asks for it]
    #[arg(long, value_enum)]
    pub(crate) family: Option<FamilyNumber>,
    /// Which table `--format list` lists [default: nat]
    #[arg(long, value_enum)]
    pub(crate) table: Option<ListedTable>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// The plugin's entry of a network configuration, or a whole list that has it; `-` reads stdin
    #[arg(long, value_name = "FILE", requires = "pod")]
    pub(crate) conf: Option<PathBuf>,
    /// A packet to follow; may stand several times
    #[arg(long, value_name = "PACKET", required = true)]
    pub(crate) packet: Vec<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Whose rules: those that a pod would get, or those that stand somewhere.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The rules that this pod would get: its manifest, YAML or JSON; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) pod: Option<PathBuf>,
    /// The rules that stand in this network namespace, such as /run/netns/NAME
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// The rules that stand in this process's network namespace
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

impl Whose {
    /// The namespace that is meant, where one is.
    pub(crate) fn namespace(&self) -> Option<PathBuf> {
        let of_process = |pid| PathBuf::from(format!("/proc/{pid}/ns/net"));
        self.netns.clone().or_else(|| self.pid.map(of_process))
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The pod's manifest, YAML or JSON; `-` reads stdin [default: ask the node's pod source]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// The plugin's entry of a network configuration, or a whole list that has it; `-` reads stdin
    /// [default: the first in --cni-conf-dir]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// Where this node's network configurations are
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf_dir: PathBuf,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Where rules stand.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// This network namespace, such as /run/netns/NAME
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// This process's network namespace
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// This container's, of any runtime: `containerd://ID`, `docker://ID`, `cri-o://ID`, or the
    /// first digits of an id
    #[arg(long, value_name = "ID")]
    pub(crate) container: Option<String>,
    /// This pod's, which must run on this node
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) pod: Option<PodName>,
}

/// A pod's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl FromStr for PodName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/');
        let parts =
            parts.filter(|(namespace, name)| is_dns_subdomain(namespace) && is_dns_subdomain(name));
        let (namespace, name) =
            parts.ok_or("expected NAMESPACE/NAME; a manifest is named by --manifest")?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Leave the pods running, to play with
    #[arg(long)]
    pub(crate) keep: bool,
    /// End the pods that an earlier `--keep` left running, and do nothing else
    #[arg(long, conflicts_with = "keep")]
    pub(crate) cleanup: bool,
    /// Where the reference plugins are [default: /usr/lib/cni, then /opt/cni/bin]
    #[arg(long, value_name = "DIR", env = "CNI_PATH", hide_env_values = true)]
    pub(crate) cni_bin_dir: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Where the container runtime looks for plugins
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/bin")]
    pub(crate) cni_bin_dir: PathBuf,
    /// Where it looks for network configurations
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf_dir: PathBuf,
    /// Where the agent and the plugin keep their files
    #[arg(long, value_name = "DIR", default_value = "/run/mesh-cni")]
    pub(crate) run_dir: PathBuf,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Words and columns
    #[default]
    Text,
    /// One JSON document
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What `iptables -L -n -v --line-numbers -x` prints
    #[default]
    List,
    /// The input of iptables-restore
    Restore,
    /// The tables of back end nft-native in the language of nft, as `nft -f` reads them
    Nft,
    /// Typed rules
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FamilyNumber {
    /// IPv4
    #[value(name = "4")]
    Four,
    /// IPv6
    #[value(name = "6")]
    Six,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListedTable {
    Nat,
    Mangle,
    Raw,
    Filter,
}
