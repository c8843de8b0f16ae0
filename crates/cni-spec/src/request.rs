//! The requests of the commands: validated environment variables and the configuration.

use std::path::PathBuf;
use std::str::FromStr;

use crate::{CniArgs, CniError, Command, ContainerId, Environment, IfName, NameError, NetConf};

/// The request of an ADD.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRequest {
    /// `CNI_CONTAINERID`.
    pub container_id: ContainerId,
    /// `CNI_NETNS`: the path of the network namespace.
    pub netns: PathBuf,
    /// `CNI_NETNS_OVERRIDE`: the namespace may be the plugin's own. Otherwise the plugin must reject
    /// its own namespace, which requires access to the kernel.
    pub netns_override: bool,
    /// `CNI_IFNAME`: the interface in the container.
    pub ifname: IfName,
    /// `CNI_ARGS`.
    pub args: CniArgs,
    /// `CNI_PATH`: the directories with plugins; may be empty.
    pub path: Vec<PathBuf>,
    /// The caller's trace context.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// The request of a CHECK, with the result of the ADD in [`NetConf::prev_result`].
pub type CheckRequest = AddRequest;

/// The request of a DEL. The namespace may no longer exist.
#[derive(Debug, Clone, PartialEq)]
pub struct DelRequest {
    /// `CNI_CONTAINERID`.
    pub container_id: ContainerId,
    /// `CNI_NETNS`, unless it is empty; the path may no longer exist.
    pub netns: Option<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`, see [`AddRequest::netns_override`].
    pub netns_override: bool,
    /// `CNI_IFNAME`.
    pub ifname: IfName,
    /// `CNI_ARGS`.
    pub args: CniArgs,
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace context.
    pub trace: TraceContext,
    /// The configuration from stdin, read by [`NetConf::parse_tolerant`].
    pub conf: NetConf,
}

/// The request of a GC; [`NetConf::valid_attachments`] contains the attachments to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct GcRequest {
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace context.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// The request of a STATUS.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRequest {
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace context.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// The trace context that newer runtimes pass in the environment, for logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `TRACEPARENT`.
    pub traceparent: Option<String>,
    /// `TRACESTATE`.
    pub tracestate: Option<String>,
    /// `BAGGAGE`.
    pub baggage: Option<String>,
}

/// The validated environment variables of a call.
pub(crate) struct Variables {
    attachment: Option<(ContainerId, IfName)>,
    netns: Option<PathBuf>,
    netns_override: bool,
    args: CniArgs,
    path: Vec<PathBuf>,
    trace: TraceContext,
}

const CONTAINER_ID: &str = "CNI_CONTAINERID";
const NETNS: &str = "CNI_NETNS";
const IFNAME: &str = "CNI_IFNAME";

impl TraceContext {
    /// Ignores values that are not UTF-8, because the trace context is for logs only.
    fn from_environment(environment: &Environment) -> Self {
        let text = |name| Some(environment.get_non_empty(name).ok()??.to_owned());
        Self {
            traceparent: text("TRACEPARENT"),
            tracestate: text("TRACESTATE"),
            baggage: text("BAGGAGE"),
        }
    }
}

impl Variables {
    /// Reads the variables of a command. Fails with code 4; one error names all missing variables.
    pub(crate) fn read(command: Command, environment: &Environment) -> Result<Self, CniError> {
        report_missing(command, environment)?;
        let attachment = match command {
            Command::Add | Command::Check | Command::Del => Some((
                parsed(environment, CONTAINER_ID)?,
                parsed(environment, IFNAME)?,
            )),
            Command::Gc | Command::Status | Command::Version => None,
        };
        let text = |name| Ok::<_, CniError>(environment.get_non_empty(name)?.unwrap_or_default());
        let switch = text("CNI_NETNS_OVERRIDE")?;
        Ok(Self {
            attachment,
            netns: environment.get_non_empty(NETNS)?.map(PathBuf::from),
            netns_override: switch == "1" || switch.eq_ignore_ascii_case("true"),
            args: CniArgs::parse(text("CNI_ARGS")?),
            path: search_path(text("CNI_PATH")?),
            trace: TraceContext::from_environment(environment),
        })
    }

    pub(crate) fn into_add(self, conf: NetConf) -> AddRequest {
        let (container_id, ifname) = self.attachment.expect("read for ADD and CHECK");
        AddRequest {
            container_id,
            netns: self.netns.expect("required for ADD and CHECK"),
            netns_override: self.netns_override,
            ifname,
            args: self.args,
            path: self.path,
            trace: self.trace,
            conf,
        }
    }

    pub(crate) fn into_del(self, conf: NetConf) -> DelRequest {
        let (container_id, ifname) = self.attachment.expect("read for DEL");
        DelRequest {
            container_id,
            netns: self.netns,
            netns_override: self.netns_override,
            ifname,
            args: self.args,
            path: self.path,
            trace: self.trace,
            conf,
        }
    }

    pub(crate) fn into_gc(self, conf: NetConf) -> GcRequest {
        GcRequest {
            path: self.path,
            trace: self.trace,
            conf,
        }
    }

    pub(crate) fn into_status(self, conf: NetConf) -> StatusRequest {
        StatusRequest {
            path: self.path,
            trace: self.trace,
            conf,
        }
    }
}

/// The variables that a command requires. `CNI_PATH` is not required, because only plugins that
/// call other plugins need it.
fn required(command: Command) -> &'static [&'static str] {
    match command {
        Command::Add | Command::Check => &[CONTAINER_ID, NETNS, IFNAME],
        Command::Del => &[CONTAINER_ID, IFNAME],
        Command::Gc | Command::Status | Command::Version => &[],
    }
}

fn report_missing(command: Command, environment: &Environment) -> Result<(), CniError> {
    let mut missing = Vec::new();
    for &name in required(command) {
        if environment.get_non_empty(name)?.is_none() {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(CniError::environment(format!(
        "{command} requires environment variables that are not set: {missing}"
    ))
    .with_details("the container runtime sets them; see the CNI specification, section Parameters"))
}

fn parsed<T: FromStr<Err = NameError>>(
    environment: &Environment,
    name: &str,
) -> Result<T, CniError> {
    let text = environment.get(name)?.unwrap_or_default();
    text.parse()
        .map_err(|error| CniError::environment(format!("{name} {error}")))
}

fn search_path(text: &str) -> Vec<PathBuf> {
    text.split(':')
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .collect()
}
