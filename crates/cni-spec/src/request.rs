//! What a call asks for: the environment's variables, checked and typed, beside the configuration.

use std::path::PathBuf;
use std::str::FromStr;

use crate::{CniArgs, CniError, Command, ContainerId, Environment, IfName, NameError, NetConf};

/// What an ADD is given.
#[derive(Debug, Clone, PartialEq)]
pub struct AddRequest {
    /// `CNI_CONTAINERID`.
    pub container_id: ContainerId,
    /// `CNI_NETNS`: the path of the network namespace.
    pub netns: PathBuf,
    /// `CNI_NETNS_OVERRIDE`: the namespace may be the plugin's own. Refusing that otherwise needs
    /// the kernel, so it is the plugin's part.
    pub netns_override: bool,
    /// `CNI_IFNAME`: the interface inside the container.
    pub ifname: IfName,
    /// `CNI_ARGS`.
    pub args: CniArgs,
    /// `CNI_PATH`: where plugins are; empty when the caller names none.
    pub path: Vec<PathBuf>,
    /// The caller's trace.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// What a CHECK is given: the same as the ADD before it, with that ADD's result as
/// [`NetConf::prev_result`].
pub type CheckRequest = AddRequest;

/// What a DEL is given. The namespace may be gone already.
#[derive(Debug, Clone, PartialEq)]
pub struct DelRequest {
    /// `CNI_CONTAINERID`.
    pub container_id: ContainerId,
    /// `CNI_NETNS`, when it is set and not empty; what it names may not exist any more.
    pub netns: Option<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`, see [`AddRequest::netns_override`].
    pub netns_override: bool,
    /// `CNI_IFNAME`.
    pub ifname: IfName,
    /// `CNI_ARGS`.
    pub args: CniArgs,
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace.
    pub trace: TraceContext,
    /// The configuration from stdin, read by [`NetConf::parse_tolerant`].
    pub conf: NetConf,
}

/// What a GC is given; [`NetConf::valid_attachments`] says what is to stay.
#[derive(Debug, Clone, PartialEq)]
pub struct GcRequest {
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// What a STATUS is given.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRequest {
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The caller's trace.
    pub trace: TraceContext,
    /// The configuration from stdin.
    pub conf: NetConf,
}

/// The trace that newer runtimes hand down in the environment, for log lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `TRACEPARENT`.
    pub traceparent: Option<String>,
    /// `TRACESTATE`.
    pub tracestate: Option<String>,
    /// `BAGGAGE`.
    pub baggage: Option<String>,
}

/// The variables of a call, checked; the configuration is still missing.
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
    /// A trace is for logs only, so what cannot be read is no reason to fail a call.
    fn from_environment(environment: &Environment) -> Self {
        let text = |name| {
            environment
                .get_non_empty(name)
                .ok()
                .flatten()
                .map(str::to_owned)
        };
        Self {
            traceparent: text("TRACEPARENT"),
            tracestate: text("TRACESTATE"),
            baggage: text("BAGGAGE"),
        }
    }
}

impl Variables {
    /// Reads what a command needs. All variables that are missing are named in one error of
    /// code 4, and so are values that are not allowed.
    pub(crate) fn read(command: Command, environment: &Environment) -> Result<Self, CniError> {
        report_missing(command, environment)?;
        let on_attachment = matches!(command, Command::Add | Command::Check | Command::Del);
        let attachment = on_attachment.then(|| attachment(environment)).transpose()?;
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
        let netns = self.netns.expect("required for ADD and CHECK");
        let (netns_override, args) = (self.netns_override, self.args);
        let (path, trace) = (self.path, self.trace);
        AddRequest {
            container_id,
            netns,
            netns_override,
            ifname,
            args,
            path,
            trace,
            conf,
        }
    }

    pub(crate) fn into_del(self, conf: NetConf) -> DelRequest {
        let (container_id, ifname) = self.attachment.expect("read for DEL");
        let (netns, netns_override, args) = (self.netns, self.netns_override, self.args);
        let (path, trace) = (self.path, self.trace);
        DelRequest {
            container_id,
            netns,
            netns_override,
            ifname,
            args,
            path,
            trace,
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

/// The variables that a command cannot do without. `CNI_PATH` is never among them: it matters to
/// plugins that call others, and those see that it is empty.
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
        "{command} needs environment variables that are not set: {missing}"
    ))
    .with_details("the container runtime sets them; see the CNI specification, section Parameters"))
}

fn attachment(environment: &Environment) -> Result<(ContainerId, IfName), CniError> {
    Ok((
        parsed(environment, CONTAINER_ID)?,
        parsed(environment, IFNAME)?,
    ))
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
