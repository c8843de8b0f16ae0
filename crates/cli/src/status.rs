//! `status`: the state of the node: kernel, back ends, the choice of `auto`, plugin, agent.

mod plugin;

use std::fs;
use std::path::Path;

use mesh_cni_agent_api::{AgentState, AmbientStatus, BrokenPod, SOCKET_FILE};
use mesh_cni_installer::{NodePaths, NodeStatus, Platform};
use mesh_cni_netns::{Backend, BackendProbeCache, Xtables};
use mesh_cni_plan::{MeshConf, PodSourceName};
use serde::Serialize;

use crate::agent;
use crate::arguments::{Output, StatusArguments};
use crate::console::{BAD, BOLD, Console, DIM, GOOD, Styled, json};
use crate::failure::{Exit, Failure};
use plugin::Plugin;

/// The number of `CAP_NET_ADMIN` in `linux/capability.h`.
const NET_ADMIN: u32 = 12;

/// The state of a node.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// Whether an ADD would work.
    works: bool,
    /// Why it would not.
    problems: Vec<ShownProblem>,
    /// The kernel's release.
    kernel: String,
    /// Every back end.
    backends: Vec<Verdict>,
    auto: Auto,
    plugin: Plugin,
    agent: Agent,
}

/// A reason why an ADD would fail.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownProblem {
    /// What is wrong.
    message: String,
    /// What to do about it.
    remedy: String,
}

/// Whether a back end works.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Verdict {
    /// Its name.
    backend: &'static str,
    /// Whether it works.
    works: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Which back end an ADD with `auto` tries first, and why.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Auto {
    /// Its name; null if none works.
    backend: Option<&'static str>,
    /// Why.
    reason: String,
    /// The file that caches the choice, if it exists.
    cached_in: Option<String>,
}

/// The state of the agent.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Agent {
    state: State,
    /// Why.
    reason: String,
    /// Ambient mode; absent if the agent does not serve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ambient: Option<AmbientStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum State {
    /// No agent has run here. The plugin needs none if its pod source is not the agent.
    None,
    Running,
    Updating,
    /// The socket exists, but the agent does not answer.
    Silent,
}

/// Prints the state; exit code 1 if an ADD would fail.
pub(crate) fn run(arguments: &StatusArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if !may_administer_networks() {
        return Err(Failure::environment(
            "status needs root: without CAP_NET_ADMIN it cannot tell which back ends work",
        )
        .hint("run it as root"));
    }
    let report = Report::take(paths(arguments)?, arguments)?;
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => json(&report),
    };
    console.result(&text)?;
    Ok(if report.works { Exit::Done } else { Exit::No })
}

fn may_administer_networks() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|effective| effective & (1 << NET_ADMIN) != 0)
}

/// The directories of the platform, unless flags name others.
fn paths(arguments: &StatusArguments) -> Result<NodePaths, Failure> {
    let platform = arguments.platform.as_deref().map(Platform::named);
    let platform = platform.transpose().map_err(|error| {
        let hint = "set the directories with --cni-bin-dir and --cni-conf-dir";
        Failure::wrong(error).hint(hint)
    })?;
    let mut paths = NodePaths::default();
    if let Some(platform) = platform {
        paths.bin_dir = platform.bin_dir(&paths.host_root);
        paths.conf_dir = platform.conf_dir.into();
    }
    for (flag, path) in [
        (&arguments.cni_bin_dir, &mut paths.bin_dir),
        (&arguments.cni_conf_dir, &mut paths.conf_dir),
        (&arguments.run_dir, &mut paths.run_dir),
    ] {
        if let Some(flag) = flag {
            path.clone_from(flag);
        }
    }
    Ok(paths)
}

impl Report {
    fn take(mut paths: NodePaths, arguments: &StatusArguments) -> Result<Self, Failure> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| {
            Failure::environment(error).about("cannot read the kernel's release")
        })?;
        let node = mesh_cni_installer::status(&paths, None, None).map_err(Failure::environment)?;
        let conf = plugin::conf(&node);
        if let (None, Some(conf)) = (&arguments.run_dir, &conf) {
            paths.run_dir.clone_from(&conf.cni_agent_run_dir);
        }
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let now = BackendProbeCache::probe(&xtables);
        let cached = BackendProbeCache::load(&paths.run_dir, &xtables);
        let verdicts = now.results.iter().map(|(backend, verdict)| Verdict {
            backend: backend.as_str(),
            works: verdict.is_ok(),
            reason: verdict.as_ref().err().cloned(),
        });
        let agent = Agent::ask(&paths.run_dir.join(SOCKET_FILE));
        let problems = problems(&node, conf.as_ref(), &paths, &agent);
        Ok(Self {
            works: problems.is_empty(),
            problems,
            kernel: kernel.trim().to_owned(),
            backends: verdicts.collect(),
            auto: Auto::new(&now, cached.as_ref(), &paths.run_dir),
            plugin: Plugin::new(&node, conf.as_ref()),
            agent,
        })
    }

    fn text(&self) -> String {
        let head = |word: &'static str| Styled(BOLD, format!("{word:<10}"));
        let mut lines = vec![format!("{}{}", head("kernel"), self.kernel)];
        for (index, verdict) in self.backends.iter().enumerate() {
            let heading = if index == 0 { "back ends" } else { "" };
            let outcome = match &verdict.reason {
                None => format!("{}", Styled(GOOD, "works")),
                Some(reason) => format!("{} {reason}", Styled(BAD, "does not work:")),
            };
            lines.push(format!(
                "{}{:<16} {outcome}",
                head(heading),
                verdict.backend
            ));
        }
        let auto = self.auto.backend.unwrap_or("none");
        let reason = Styled(DIM, &self.auto.reason);
        lines.push(format!("{}{auto:<16} {reason}", head("auto")));
        lines.push(format!("{}{}", head("plugin"), self.plugin.text()));
        let Agent {
            state,
            reason,
            ambient,
        } = &self.agent;
        let style = match state {
            State::None => DIM,
            State::Running => GOOD,
            State::Updating | State::Silent => BAD,
        };
        let state = Styled(style, format!("{:<16}", state.as_str()));
        lines.push(format!("{}{state} {reason}", head("agent")));
        if let Some(ambient) = ambient {
            lines.push(format!("{}{ambient}", head("ambient")));
            for BrokenPod { pod, why } in &ambient.broken {
                let broken = Styled(BAD, format!("{pod}: {why}"));
                lines.push(format!("{}{broken}", head("")));
            }
        }
        for ShownProblem { message, remedy } in &self.problems {
            lines.push(format!("{}{}", head("problem"), Styled(BAD, message)));
            lines.push(format!("{}remedy: {remedy}", head("")));
        }
        lines.join("\n") + "\n"
    }
}

impl Agent {
    fn ask(socket: &Path) -> Self {
        let mut ambient = None;
        let (state, reason) = if socket.exists() {
            match agent::status(socket) {
                Ok(status) => {
                    ambient = status.ambient;
                    (status.state.into(), status.why)
                }
                Err(error) => (
                    State::Silent,
                    error_reporter::Report::new(error).to_string(),
                ),
            }
        } else {
            let socket = socket.display();
            let reason = format!("no agent has run here: `{socket}` does not exist");
            (State::None, reason)
        };
        Self {
            state,
            reason,
            ambient,
        }
    }
}

/// Why an ADD would fail: what the files of the node say, what the plugin's own STATUS says, and what the agent
/// says if the plugin depends on it.
fn problems(
    node: &NodeStatus,
    conf: Option<&MeshConf>,
    paths: &NodePaths,
    agent: &Agent,
) -> Vec<ShownProblem> {
    let of_files = node.problems.iter().map(|problem| ShownProblem {
        message: problem.to_string(),
        remedy: problem.remedy().to_owned(),
    });
    let mut problems: Vec<_> = of_files.collect();
    let asked = plugin::ask_status(node, paths);
    let uses_agent = conf
        .is_some_and(|conf| matches!(conf.pod_source, PodSourceName::Agent | PodSourceName::Auto));
    let is_updating = matches!(agent.state, State::Updating | State::Silent);
    if asked.is_none() && uses_agent && is_updating {
        problems.push(ShownProblem {
            message: format!("the agent is not ready: {}", agent.reason),
            remedy: "see the agent's log and `mesh-cni-agent status`".to_owned(),
        });
    }
    problems.extend(asked);
    problems
}

impl From<AgentState> for State {
    fn from(state: AgentState) -> Self {
        match state {
            AgentState::Running => Self::Running,
            AgentState::Updating => Self::Updating,
        }
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Running => "running",
            Self::Updating => "updating",
            Self::Silent => "no answer",
        }
    }
}

impl Auto {
    fn new(now: &BackendProbeCache, cached: Option<&BackendProbeCache>, run_dir: &Path) -> Self {
        let file = run_dir.join(BackendProbeCache::FILE).display().to_string();
        let first = cached.unwrap_or(now).first();
        let why = match first {
            None => "no back end works".to_owned(),
            Some(first) => reason(first, cached.unwrap_or(now)),
        };
        let source = match cached {
            None => "probed now; the first ADD caches its choice until the next boot".to_owned(),
            Some(cached) if cached.first() == now.first() => {
                format!("cached in `{file}`")
            }
            Some(_) => format!("cached in `{file}`; a probe now gives a different result"),
        };
        Self {
            backend: first.map(Backend::as_str),
            reason: format!("{why}; {source}"),
            cached_in: cached.map(|_| file),
        }
    }
}

/// Why `auto` tries that back end first.
fn reason(first: Backend, probes: &BackendProbeCache) -> String {
    let before: Vec<_> = probes
        .results
        .iter()
        .take_while(|(backend, _)| *backend != first)
        .map(|(backend, _)| backend.as_str())
        .collect();
    match before.as_slice() {
        [] => "the preferred back end works".to_owned(),
        [one] => format!("the first that works: {one} does not"),
        several => format!("the first that works: {} do not", several.join(" and ")),
    }
}
