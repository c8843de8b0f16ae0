//! The CNI code, message and remedy of each error.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::path::Path;

use error_reporter::Report;
use mesh_cni_agent_api::EnrolmentError;
use mesh_cni_netfilter::Drift;
use mesh_cni_netns::{
    ApplyError, Backend, BackendError, EnterError, NfTablesError, OpenError, ReadError,
    XtablesError,
};
use mesh_cni_plan::{ConfError, PlanError};
use mesh_cni_selector::{MissingFacts, SelectError};
use mesh_cni_spec::{CniError, PodArgsError};

use crate::pod_source::{Category, FactsError};

/// The plugin's own error codes. The CNI specification leaves 100 and up to plugins.
pub mod codes {
    /// No back end could program the namespace.
    pub const NOT_PROGRAMMED: u32 = 100;
    /// Another back end has rules of sidecar interception.
    pub const OTHER_BACKEND: u32 = 101;
    /// The live rules differ from the expected ones.
    pub const DRIFT: u32 = 102;
    /// The network namespace could not be entered.
    pub const NOT_ENTERED: u32 = 103;
    /// The live rules could not be read.
    pub const NOT_READ: u32 = 104;
    /// ztunnel does not serve the pod, and another attempt cannot change that.
    pub const NOT_ENROLLED: u32 = 105;
}

const NO_PROGRAM: &str = "install the distribution's package iptables on the node, which contains \
    iptables-restore and ip6tables-restore, or set `backend` to one that works on the node";
const OTHER_CAUSE: &str = "the message names what the kernel or the program refused; `backend` selects \
    another way to write the rules";
const READING: &str = "netlink and nft-native require nf_tables in the node's kernel, the other \
    back ends the distribution's package iptables";
const ROUTING: &str = "TPROXY requires policy routing in the node's kernel: \
    CONFIG_IP_MULTIPLE_TABLES, and for IPv6 CONFIG_IPV6_MULTIPLE_TABLES";
const DRIFTED: &str =
    "another program changed the pod's rules; delete the pod so that it starts again";
const NO_IPV6_LOOPBACK: &str = "the pod has an IPv6 address, but IPv6 is disabled on its loopback \
    interface: set net.ipv6.conf.lo.disable_ipv6 and net.ipv6.conf.all.disable_ipv6 to 0 in its \
    namespace";

const NO_NAMESPACE_LABELS: &str = "pod sources `file` and `runtime` have no labels of namespaces: use \
    another source, or for exclude_namespace_selector use exclude_namespaces instead; with source \
    `agent`, start the agent with the same entry";

pub(crate) fn configuration(error: &ConfError) -> CniError {
    CniError::config(error_chain(error)).with_details(
        "fix the entry of type mesh-cni in the network configuration list on the node; \
         docs/network-configuration.schema.json lists every field",
    )
}

pub(crate) fn pod_args(error: &PodArgsError) -> CniError {
    CniError::environment(error_chain(error)).with_details(
        "the container runtime sets K8S_POD_NAMESPACE and K8S_POD_NAME for a pod, and neither for \
         another attachment",
    )
}

pub(crate) fn namespace(error: &OpenError) -> CniError {
    let remedy = match error {
        OpenError::Missing { .. } => {
            "the sandbox has ended; the runtime creates a new one when it tries again"
        }
        OpenError::Foreign { .. } => {
            "CNI_NETNS must be the path of a network namespace, such as /run/netns/NAME or \
             /proc/PID/ns/net"
        }
        _ => "run the plugin as root on the node, with access to CNI_NETNS",
    };
    CniError::environment(format!("CNI_NETNS: {}", error_chain(error))).with_details(remedy)
}

pub(crate) fn own_namespace(path: &Path) -> CniError {
    let path = path.display();
    CniError::environment(format!(
        "CNI_NETNS: `{path}` is the plugin's own network namespace"
    ))
    .with_details(
        "rules there would redirect the node's traffic; run the plugin in another network \
         namespace, or set CNI_NETNS_OVERRIDE=1 if this is intended",
    )
}

pub(crate) fn facts(error: &FactsError) -> CniError {
    let message = error_chain(error);
    match error.category() {
        Category::Temporary => CniError::try_again(message),
        Category::Environment => CniError::environment(message),
        Category::Configuration => CniError::config(message),
    }
    .with_details(error.remedy())
}

pub(crate) fn plan(pod: &str, error: &PlanError) -> CniError {
    let message = format!("pod {pod}: {}", error_chain(error));
    let remedy = match error {
        PlanError::Select(SelectError::MissingFacts(MissingFacts::NamespaceAnnotations {
            ..
        })) => {
            return CniError::try_again(message)
                .with_details("start the agent with the same entry, in its version");
        }
        PlanError::Select(SelectError::MissingFacts(MissingFacts::ProxyType { .. })) => {
            "pod source `runtime` knows only Istio's own templates: name one of them in the \
             annotation too, such as `sidecar,NAME` or `gateway,NAME`, or use another source"
        }
        PlanError::Select(SelectError::MissingFacts(_)) => {
            return CniError::try_again(message).with_details(NO_NAMESPACE_LABELS);
        }
        PlanError::Select(SelectError::SeveralMeshes { .. }) => {
            "inject the pod into one mesh only: the rules of each mesh redirect the same packets"
        }
        PlanError::InvalidSetting(_) | PlanError::UnreadableConfig(_) => {
            "fix the value in the pod's template, or in `defaults` of the plugin's entry; \
             `mesh-cnictl render --pod FILE` checks it without a cluster"
        }
        PlanError::TooManyRules(_) => {
            "shorten the list in the pod's template, or in `defaults` of the plugin's entry: use \
             fewer, wider ranges, or list what to include instead of what to exclude"
        }
        _ => "the pod does not start without the redirection that it needs",
    };
    CniError::config(message).with_details(remedy)
}

pub(crate) fn not_applied(error: &ApplyError) -> CniError {
    let (code, remedy) = match error {
        ApplyError::Enter(error) => return not_entered(error),
        ApplyError::Elsewhere { .. } => (
            codes::OTHER_BACKEND,
            "set `backend` to the one that has the rules, or remove them with \
             `mesh-cnictl init --cleanup-only` in the namespace",
        ),
        ApplyError::PassthroughAddress(_) => (codes::NOT_PROGRAMMED, NO_IPV6_LOOPBACK),
        ApplyError::NoneWorks(attempts) => {
            let errors = attempts
                .iter()
                .map(|attempt| (attempt.backend, &attempt.error));
            let remedy = remedy_of(&errors.collect::<Vec<_>>());
            return refused(codes::NOT_PROGRAMMED, error).with_details(remedy);
        }
        _ => (codes::NOT_PROGRAMMED, OTHER_CAUSE),
    };
    refused(code, error).with_details(remedy)
}

/// A decision for ztunnel without a pod.
pub(crate) fn no_pod() -> CniError {
    CniError::plugin(
        codes::NOT_ENROLLED,
        "ztunnel serves pods, and the call has none",
    )
    .with_details("report this as a defect of mesh-cni")
}

pub(crate) fn not_enrolled(error: &EnrolmentError) -> CniError {
    let message = format!("ztunnel does not serve the pod: {}", error_chain(error));
    let error_of_kind = if error.is_temporary() {
        CniError::try_again(message)
    } else {
        CniError::plugin(codes::NOT_ENROLLED, message)
    };
    error_of_kind.with_details(error.remedy())
}

fn refused(code: u32, error: &ApplyError) -> CniError {
    let message = format!("traffic is not redirected: {}", error_chain(error));
    CniError::plugin(code, message)
}

pub(crate) fn not_read(error: &ReadError) -> CniError {
    let remedy = match error {
        ReadError::Enter(error) => return not_entered(error),
        _ => READING,
    };
    CniError::plugin(codes::NOT_READ, error_chain(error)).with_details(remedy)
}

/// The remedy if every back end failed.
fn remedy_of(failed: &[(Backend, &BackendError)]) -> Cow<'static, str> {
    let all = |is: fn(&BackendError) -> bool| failed.iter().all(|(_, error)| is(error));
    if all(lacks_program) {
        return NO_PROGRAM.into();
    }
    if all(|error| lacks_program(error) || is_routing(error)) {
        return ROUTING.into();
    }
    let needs: Vec<_> = failed
        .iter()
        .map(|(backend, error)| (backend, error.needed_modules()))
        .filter(|(_, modules)| !modules.is_empty())
        .map(|(backend, modules)| format!("{backend} needs {}", modules.join(", ")))
        .collect();
    if needs.is_empty() {
        return OTHER_CAUSE.into();
    }
    let needs = needs.join("; ");
    format!(
        "load kernel modules with `modprobe -a` on the node ({needs}), or set `backend` to one that \
         its kernel supports"
    )
    .into()
}

pub(crate) fn addresses(error: &io::Error) -> CniError {
    let message = format!("cannot read the addresses of the pod's namespace: {error}");
    CniError::plugin(codes::NOT_READ, message)
        .with_details("run the plugin as root on the node, without a seccomp filter")
}

pub(crate) fn processes(error: &io::Error) -> CniError {
    let message = format!("cannot read the processes and sockets of the pod in /proc: {error}");
    CniError::plugin(codes::NOT_READ, message).with_details("run the plugin as root on the node")
}

pub(crate) fn no_address() -> CniError {
    CniError::config(
        "the pod has only loopback and link-local addresses, and redirected traffic requires \
         another",
    )
    .with_details("put mesh-cni after the plugin that gives the pod its address")
}

/// The live rules are incomplete for any settings, and those of the pod are not known.
pub(crate) fn incomplete(drift: &Drift, unknown: &FactsError) -> CniError {
    let unknown = error_chain(unknown);
    CniError::plugin(
        codes::DRIFT,
        format!(
            "the live rules are incomplete: {drift}; the pod's settings are not known: {unknown}"
        ),
    )
    .with_details(DRIFTED)
}

pub(crate) fn drift(drift: &Drift) -> CniError {
    CniError::plugin(
        codes::DRIFT,
        format!("the live rules differ from the expected ones: {drift}"),
    )
    .with_details(DRIFTED)
}

pub(crate) fn no_backend(error: &BackendError) -> CniError {
    let remedy = remedy_of(&[(error.backend(), error)]);
    CniError::not_available(error_chain(error)).with_details(remedy)
}

pub(crate) fn unavailable(error: &FactsError) -> CniError {
    CniError::not_available(error_chain(error)).with_details(error.remedy())
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

/// Whether a program of the host is missing, rather than a feature of its kernel.
fn lacks_program(error: &BackendError) -> bool {
    matches!(
        error,
        BackendError::Xtables(XtablesError::NoProgram { .. } | XtablesError::Program { .. })
    )
}

pub(crate) fn not_entered(error: &EnterError) -> CniError {
    CniError::plugin(codes::NOT_ENTERED, error_chain(error))
        .with_details("run the plugin as root on the node, with CAP_SYS_ADMIN")
}

/// The error and its causes on one line.
fn error_chain(error: &dyn Error) -> String {
    Report::new(error).to_string()
}
