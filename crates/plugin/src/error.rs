//! Every error of a call as the CNI code, the one line and the remedy that the runtime shows.

use std::error::Error;
use std::io;

use mesh_cni_netfilter::Drift;
use mesh_cni_netns::{
    ApplyError, Attempt, BackendError, EnterError, NfTablesError, OpenError, ReadError,
    XtablesError,
};
use mesh_cni_plan::{ConfError, PlanError};
use mesh_cni_spec::CniError;

use crate::pod_source::{Blame, FactsError};

/// Codes of our own; 100 and up are a plugin's.
pub mod codes {
    /// No back end could program the namespace.
    pub const NOT_PROGRAMMED: u32 = 100;
    /// Rules of sidecar interception stand in another back end.
    pub const STANDING_ELSEWHERE: u32 = 101;
    /// The live rules are not the wanted ones.
    pub const DRIFT: u32 = 102;
    /// The network namespace could not be entered.
    pub const NOT_ENTERED: u32 = 103;
    /// The live rules could not be read.
    pub const NOT_READ: u32 = 104;
}

const NO_PROGRAM: &str = "install the distribution's package iptables on the node, which brings \
    iptables-restore and ip6tables-restore, or set `backend` to one that the node has";
const KERNEL: &str = "load the kernel modules nft_compat, nft_chain_nat, xt_REDIRECT, xt_owner and \
    xt_tcpudp (iptable_nat in place of the first two for iptables-legacy) on the node, or set \
    `backend` to one that its kernel has";

const READING: &str = "netlink and nft-native need nf_tables in the node's kernel, the other back \
    ends the distribution's package iptables";
const ROUTING: &str = "TPROXY needs policy routing in the node's kernel: CONFIG_IP_MULTIPLE_TABLES, \
    and for IPv6 CONFIG_IPV6_MULTIPLE_TABLES";
const IPV6_IS_OFF: &str = "the pod has an IPv6 address, but IPv6 is off on its loopback interface: \
    set net.ipv6.conf.lo.disable_ipv6 and net.ipv6.conf.all.disable_ipv6 to 0 for its namespace";

pub(crate) fn configuration(error: &ConfError) -> CniError {
    CniError::config(chain(error)).with_details(
        "mend the entry of type mesh-cni in the network configuration list on the node; \
         docs/network-configuration.schema.json names every field",
    )
}

pub(crate) fn namespace(error: &OpenError) -> CniError {
    let remedy = match error {
        OpenError::Missing { .. } => {
            "the sandbox is gone; the runtime makes a new one when it tries again"
        }
        OpenError::Foreign { .. } => {
            "CNI_NETNS must name a network namespace such as /run/netns/NAME or /proc/PID/ns/net"
        }
        _ => "the plugin must run as root on the node, with the right to open CNI_NETNS",
    };
    CniError::environment(format!("CNI_NETNS: {}", chain(error))).with_details(remedy)
}

pub(crate) fn own_namespace(path: &str) -> CniError {
    CniError::environment(format!(
        "CNI_NETNS: `{path}` is the plugin's own network namespace"
    ))
    .with_details(
        "rules there would redirect the node's traffic; call the plugin from another \
             namespace, or set CNI_NETNS_OVERRIDE=1 where this is wanted",
    )
}

pub(crate) fn facts(error: &FactsError) -> CniError {
    let message = chain(error);
    match error.blame() {
        Blame::Time => CniError::try_again(message),
        Blame::Environment => CniError::environment(message),
        Blame::Configuration => CniError::config(message),
    }
    .with_details(error.remedy())
}

pub(crate) fn plan(pod: &str, error: &PlanError) -> CniError {
    let remedy = match error {
        PlanError::MissingFacts(_) => {
            "pod sources `file` and `runtime` know no labels of namespaces: remove \
             exclude_namespace_selector, use exclude_namespaces, or another source; the agent \
             learns of the selector when it starts with the same entry"
        }
        PlanError::InvalidSetting(_) => {
            "mend the value in the pod's template, or under defaults in the plugin's entry; \
             `mesh-cnictl render --pod FILE` tries it without a cluster"
        }
        _ => "the pod is not started without what it asks for",
    };
    CniError::config(format!("pod {pod}: {}", chain(error))).with_details(remedy)
}

pub(crate) fn not_applied(error: &ApplyError) -> CniError {
    let (code, remedy) = match error {
        ApplyError::Enter(error) => return not_entered(error),
        ApplyError::Elsewhere { .. } => (
            codes::STANDING_ELSEWHERE,
            "set `backend` to where the rules stand, or remove them with \
             `mesh-cnictl init --cleanup-only` in the namespace",
        ),
        ApplyError::PassthroughAddress(_) => (codes::NOT_PROGRAMMED, IPV6_IS_OFF),
        ApplyError::NoneWorks(attempts) => (codes::NOT_PROGRAMMED, remedy_of(attempts)),
        _ => (codes::NOT_PROGRAMMED, KERNEL),
    };
    CniError::plugin(code, format!("traffic is not redirected: {}", chain(error)))
        .with_details(remedy)
}

pub(crate) fn not_read(error: &ReadError) -> CniError {
    let remedy = match error {
        ReadError::Enter(error) => return not_entered(error),
        _ => READING,
    };
    CniError::plugin(codes::NOT_READ, chain(error)).with_details(remedy)
}

/// What helps where every back end failed.
fn remedy_of(attempts: &[Attempt]) -> &'static str {
    let all = |is: fn(&BackendError) -> bool| attempts.iter().all(|attempt| is(&attempt.error));
    if all(lacks_program) {
        NO_PROGRAM
    } else if all(|error| lacks_program(error) || is_routing(error)) {
        ROUTING
    } else {
        KERNEL
    }
}

pub(crate) fn addresses(error: &io::Error) -> CniError {
    let message = format!("the addresses of the pod's namespace cannot be read: {error}");
    CniError::plugin(codes::NOT_READ, message)
        .with_details("the plugin must run as root on the node, free of seccomp filters")
}

pub(crate) fn no_address() -> CniError {
    CniError::config(
        "the pod has no address but loopback and link-local ones, and traffic that is redirected \
         needs one",
    )
    .with_details("put mesh-cni behind the plugin that gives the pod its address")
}

pub(crate) fn drift(drift: &Drift) -> CniError {
    CniError::plugin(
        codes::DRIFT,
        format!("the rules are not as they should be: {drift}"),
    )
    .with_details("something else changed the pod's rules; delete the pod, so that it starts anew")
}

pub(crate) fn no_backend(error: &BackendError) -> CniError {
    let remedy = if lacks_program(error) {
        NO_PROGRAM
    } else {
        KERNEL
    };
    CniError::not_available(chain(error)).with_details(remedy)
}

pub(crate) fn unavailable(error: &FactsError) -> CniError {
    CniError::not_available(chain(error)).with_details(error.remedy())
}

fn is_routing(error: &BackendError) -> bool {
    matches!(
        error,
        BackendError::NfTables {
            source: NfTablesError::Routing(_),
            ..
        } | BackendError::Xtables(XtablesError::Routing { .. })
    )
}

/// Whether it is the host's programs that are wanting, rather than its kernel.
fn lacks_program(error: &BackendError) -> bool {
    matches!(
        error,
        BackendError::Xtables(XtablesError::NoProgram { .. } | XtablesError::Program { .. })
    )
}

pub(crate) fn not_entered(error: &EnterError) -> CniError {
    CniError::plugin(codes::NOT_ENTERED, chain(error))
        .with_details("the plugin must run as root on the node, with CAP_SYS_ADMIN")
}

/// The error with every cause, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
