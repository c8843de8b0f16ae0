//! The commands, their flags and their help, as clap's derive reads them.

mod diff;
mod init;
mod subject;
mod verify;

use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::bundle::BundleArguments;
use crate::check::CheckArguments;
use crate::pods::PodsArguments;
pub(crate) use diff::DiffArguments;
pub(crate) use init::{InitArguments, InitMesh};
pub(crate) use subject::{ConfArguments, PodArgument, PodName, Subject};
pub(crate) use verify::{Place, VerifyArguments};

/// The program's name.
pub(crate) const NAME: &str = "mesh-cnictl";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Inspect, apply and verify the rules that redirect a pod's traffic to its sidecar proxy
#[derive(Debug, Parser)]
#[command(
    name = NAME,
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show whether a pod's traffic is redirected, and why
    ///
    /// Exit code 0: it is redirected. 1: it is not. 2: wrong use, or the plugin rejects the pod. A
    /// list of pods gives one line for each.
    #[command(after_help = "Example: kubectl get pod NAME -o yaml | mesh-cnictl select --pod -")]
    Select(SelectArguments),
    /// Print the rules that a pod would get
    ///
    /// Exit code 1: the pod gets no rules; stderr has the reason.
    #[command(after_help = "Example: mesh-cnictl render --pod pod.yaml --format restore")]
    Render(RenderArguments),
    /// Trace a packet through the rules, and show where it ends
    ///
    /// Uses the rules that a pod would get, or the live rules of a network namespace (needs root).
    /// A packet is `in|out tcp|udp ADDRESS:PORT` and options: `from ADDRESS[:PORT]`,
    /// `iface NAME`, `uid N`, `gid N`, `mark N`, `connmark N`, `state new|established|related|invalid`,
    /// `reply`, `size BYTES`. Exit code 1: a packet could not be traced to its end.
    #[command(
        after_help = "Example: mesh-cnictl explain --pod pod.yaml --packet 'out tcp 10.0.0.7:9080 uid 1000'"
    )]
    Explain(ExplainArguments),
    /// Compare the live rules of a pod with the rules that it should have
    ///
    /// Reports whether the live rules are those that the pod should have, and if not, the first
    /// difference and its effect on traffic. Then prints them as
    /// `iptables -t nat -L -n -v --line-numbers -x` does, with counters. Reads the pod's facts from this node's agent, from the
    /// manifest directory of the configuration, or from --manifest. Needs root, or with --pod outside a
    /// node, the right to execute programs in the agent's pods. Exit code 1: the
    /// rules differ. 3: the environment failed, or there is nothing to compare with.
    /// With --all, one line for each pod with a network namespace of its own.
    #[command(
        after_help = "Example: mesh-cnictl verify --pod default/productpage-v1-5c7b6d9f4-abcde"
    )]
    Verify(VerifyArguments),
    /// Show which pods a changed configuration, or another release, would treat differently
    ///
    /// Pods with the same change are one group, with the rules that are removed (`-`) and added (`+`).
    /// Exit code 0: no pod is treated differently. 1: some are, or the answer depends on labels of
    /// namespaces, which the pods do not contain.
    #[command(
        after_help = "Example: kubectl get pods -A -o yaml | mesh-cnictl diff --conf new.conflist --pods -"
    )]
    Diff(DiffArguments),
    /// Apply the rules, as istio-init does in its pod
    ///
    /// Flags, environment variables and defaults are those of Istio's istio-iptables command. A flag
    /// overrides its environment variable; an empty variable counts as unset. Exit code 126:
    /// --run-validation found that the rules do not redirect.
    ///
    /// With --mesh linkerd, as linkerd-init does, with the flags of linkerd2-proxy-init:
    /// `init --mesh linkerd --help` describes them.
    ///
    /// The arguments of an istio-init container work unchanged: istio-iptables may come first, after
    /// init or instead of it, and Istio's logging options are accepted.
    #[command(
        alias = "istio-iptables",
        after_help = "Example: mesh-cnictl init -p 15001 -z 15006 -u 1337 -m REDIRECT \
                      -i '*' -b '*' -d 15020,15021,15090 --dry-run"
    )]
    Init(InitArguments),
    /// Demonstrate redirection on this machine, without a cluster
    ///
    /// Creates two pods in their own network namespaces, calls the reference plugin bridge and then
    /// mesh-cni as a container runtime does, sends real requests, and compares the rules with the
    /// documented dump; with --mesh linkerd and --mesh kuma with the rules of the pod's settings, as the
    /// mesh's own program writes them. Removes everything afterwards. Needs root. Exit code 1: a check failed.
    #[command(after_help = "Example: sudo mesh-cnictl demo --keep")]
    Demo(DemoArguments),
    /// Show the state of this node: kernel, back ends, the choice of `auto`, plugin, agent
    ///
    /// Asks the installed plugin, with the entry that the runtime passes, whether an ADD would work: CNI's
    /// STATUS. Needs root. Exit code 0: an ADD would work. 1: an ADD would fail; each problem is listed
    /// with its remedy. 2: wrong use. 3: the node cannot be inspected.
    #[command(after_help = "Example: sudo mesh-cnictl status --output json")]
    Status(StatusArguments),
    /// Check the whole cluster, before or after the installation
    ///
    /// Reaches the cluster with a kubeconfig, and the agents through the API server. With --pre: may the
    /// user install, what are the nodes and which values does the chart need, what else redirects pods,
    /// and what would happen to each pod. Without: is an agent ready on each node, are the plugin and its
    /// entry in place, which pods lack their rules or are refused. docs/checks.md explains each check.
    /// Exit code 1: a check failed. 3: the cluster cannot be reached.
    #[command(after_help = "Example: mesh-cnictl check --wait --timeout 2m")]
    Check(Box<CheckArguments>),
    /// List the pods of a cluster: node, mesh, decision, reason, whether the rules are applied
    ///
    /// The decisions are those of the installed configuration. Whether the rules are applied is asked
    /// of the agent of each node, through the API server; if an agent does not answer, it is `unknown`,
    /// with the reason. Pods that have ended are left out. Needs the rights to list pods, and to
    /// execute programs in the agent's pods.
    #[command(
        after_help = "Example: mesh-cnictl pods -A --rules drifted --rules no --decision redirect"
    )]
    Pods(Box<PodsArguments>),
    /// Write a support archive of a cluster, without secrets
    ///
    /// Takes the plugin's entry, the agents and the decision for each pod; of each node the network
    /// configurations, the state, the metrics, and the last lines of the logs of agent and plugin; of each
    /// chosen pod its settings and the comparison of its rules. Values of environment variables, tokens,
    /// other annotations and other text of configurations are removed; logs of applications are never
    /// read. Prints what was taken and what was not. Only the file's owner can read it.
    #[command(
        after_help = "Example: mesh-cnictl bundle --node worker-1 --pod shop/cart-5c7b6d9f4-abcde"
    )]
    Bundle(Box<BundleArguments>),
    /// Print the versions of this program and of the interfaces that it supports
    #[command(after_help = "Example: mesh-cnictl version --output json")]
    Version(VersionArguments),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: mesh-cnictl completions bash > /etc/bash_completion.d/mesh-cnictl"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of the program, or write the pages of all commands
    #[command(after_help = "Example: mesh-cnictl man --dir /usr/local/share/man/man1")]
    Man {
        /// Write a page for the program and one for each command to this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SelectArguments {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Format of the rules
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// 4 or 6 [default: 4, and 6 if `status.podIPs` of the manifest requires it]
    #[arg(long, value_enum)]
    pub(crate) family: Option<FamilyNumber>,
    /// Table for `--format list` [default: nat]
    #[arg(long, value_enum)]
    pub(crate) table: Option<ListedTable>,
    /// Output format: with `json`, the decision for each pod and its rules as text, which `diff --rules-old`
    /// reads
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["format", "family", "table"])]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(flatten)]
    pub(crate) proc: ProcDir,
    #[command(flatten)]
    pub(crate) conf: ConfArguments,
    /// A packet to trace; may be repeated
    #[arg(long, value_name = "PACKET", required = true)]
    pub(crate) packet: Vec<String>,
    /// Print only the rules that match, in at most 100 columns
    #[arg(long)]
    pub(crate) matched: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Whose rules: those that a pod would get, or the live rules of a namespace.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// Use the rules that this pod would get: its manifest or a list of manifests, YAML or JSON,
    /// where `-` reads stdin; or the namespace and name of a pod of this node, or outside a node, of the
    /// cluster of the kubeconfig
    #[arg(long, value_name = "FILE|NAMESPACE/NAME")]
    pub(crate) pod: Option<PodArgument>,
    /// Use the live rules of this network namespace, such as /run/netns/NAME
    #[arg(long, value_name = "PATH")]
    pub(crate) netns: Option<PathBuf>,
    /// Use the live rules of this process's network namespace
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

impl Whose {
    /// The path of the namespace, if one is named.
    pub(crate) fn namespace(&self, proc: &Path) -> Option<PathBuf> {
        let of_process = |pid: u32| proc.join(pid.to_string()).join("ns/net");
        self.netns.clone().or_else(|| self.pid.map(of_process))
    }
}

/// Where the processes of this node are visible.
#[derive(Debug, Args)]
pub(crate) struct ProcDir {
    /// The node's /proc, as this program sees it
    #[arg(
        long,
        value_name = "DIR",
        env = "HOST_PROC",
        hide_env_values = true,
        default_value = "/proc"
    )]
    pub(crate) proc_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Mesh of the sidecar and of the rules
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mesh: DemoMesh,
    /// Leave the pods running, for experiments
    #[arg(long)]
    pub(crate) keep: bool,
    /// Stop the pods that an earlier `--keep` left running, and do nothing else
    #[arg(long, conflicts_with = "keep")]
    pub(crate) cleanup: bool,
    /// Directory of the reference plugins [default: /usr/lib/cni, then /opt/cni/bin]
    #[arg(long, value_name = "DIR", env = "CNI_PATH", hide_env_values = true)]
    pub(crate) cni_bin_dir: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// The meshes whose sidecars the demo can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoMesh {
    /// Istio, with the documented dump of ASM
    #[default]
    Istio,
    /// Linkerd
    Linkerd,
    /// Kuma
    Kuma,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The distribution of this node, which sets the defaults of both directories: bottlerocket, gke,
    /// k3d, k3s, microk8s, minikube, openshift, rke2 or talos
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    /// Directory of the container runtime's plugins [default: /opt/cni/bin]
    #[arg(long, value_name = "DIR", env = "CNI_BIN_DIR", hide_env_values = true)]
    pub(crate) cni_bin_dir: Option<PathBuf>,
    /// Directory of its network configurations [default: /etc/cni/net.d]
    #[arg(
        long,
        value_name = "DIR",
        env = "MOUNTED_CNI_NET_DIR",
        hide_env_values = true
    )]
    pub(crate) cni_conf_dir: Option<PathBuf>,
    /// Directory of the agent's socket and the plugin's files [default: that of the plugin's entry, or
    /// /run/mesh-cni]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArguments {
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    #[default]
    Text,
    /// One JSON document for programs
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The output of `iptables -L -n -v --line-numbers -x`
    #[default]
    List,
    /// The input of iptables-restore
    Restore,
    /// The tables of back end nft-native, as input of `nft -f`
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
