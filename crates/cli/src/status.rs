//! `status`: the state of the node: kernel, back ends, the choice of `auto`, plugin, agent.

use std::fs;
use std::path::Path;

use mesh_cni_agent_api::{AgentState, SOCKET_FILE};
use mesh_cni_installer::{Installation, NodePaths};
use mesh_cni_netns::{Backend, BackendProbeCache, Xtables};
use serde::Serialize;

use crate::agent;
use crate::arguments::{Output, StatusArguments};
use crate::console::{BAD, BOLD, Console, DIM, GOOD, Styled, json};
use crate::failure::{Exit, Failure};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    kernel: String,
    backends: Vec<Verdict>,
    auto: Auto,
    plugin: Plugin,
    agent: Agent,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Verdict {
    backend: &'static str,
    works: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Which back end an ADD with `auto` tries first, and why.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Auto {
    backend: Option<&'static str>,
    reason: String,
    /// The file that caches the choice, if it exists.
    cached_in: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Plugin {
    installation: String,
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
    problems: Vec<String>,
}

/// The state of the agent.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Agent {
    state: State,
    why: String,
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
    let report = Report::take(arguments)?;
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => json(&report),
    };
    console.result(&text)?;
    Ok(if report.works() { Exit::Done } else { Exit::No })
}

impl Report {
    fn take(arguments: &StatusArguments) -> Result<Self, Failure> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| {
            Failure::environment(error).about("cannot read the kernel's release")
        })?;
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let now = BackendProbeCache::probe(&xtables);
        let cached = BackendProbeCache::load(&arguments.run_dir, &xtables);
        let verdicts = now.results.iter().map(|(backend, verdict)| Verdict {
            backend: backend.as_str(),
            works: verdict.is_ok(),
            reason: verdict.as_ref().err().cloned(),
        });
        Ok(Self {
            kernel: kernel.trim().to_owned(),
            backends: verdicts.collect(),
            auto: Auto::new(&now, cached.as_ref(), arguments),
            plugin: Plugin::look(arguments)?,
            agent: Agent::ask(&arguments.run_dir.join(SOCKET_FILE)),
        })
    }

    /// Whether an ADD would work now.
    fn works(&self) -> bool {
        let agent = matches!(self.agent.state, State::None | State::Running);
        self.plugin.installed && self.auto.backend.is_some() && agent
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
        let style = if self.plugin.installed { GOOD } else { BAD };
        let installation = Styled(style, &self.plugin.installation);
        let conf = self.plugin.configuration.as_ref();
        let conf = conf.map_or_else(String::new, |conf| format!(" in {conf}"));
        lines.push(format!("{}{installation}{conf}", head("plugin")));
        for problem in &self.plugin.problems {
            lines.push(format!("{}{problem}", head("")));
        }
        let Agent { state, why } = &self.agent;
        let style = match state {
            State::None => DIM,
            State::Running => GOOD,
            State::Updating | State::Silent => BAD,
        };
        let state = Styled(style, format!("{:<16}", state.as_str()));
        lines.push(format!("{}{state} {why}", head("agent")));
        lines.join("\n") + "\n"
    }
}

impl Agent {
    fn ask(socket: &Path) -> Self {
        let (state, why) = if socket.exists() {
            match agent::status(socket) {
                Ok(status) => (status.state.into(), status.why),
                Err(error) => (
                    State::Silent,
                    error_reporter::Report::new(error).to_string(),
                ),
            }
        } else {
            let socket = socket.display();
            let why = format!("no agent has run here: `{socket}` does not exist");
            (State::None, why)
        };
        Self { state, why }
    }
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
    fn new(
        now: &BackendProbeCache,
        cached: Option<&BackendProbeCache>,
        arguments: &StatusArguments,
    ) -> Self {
        let file = arguments
            .run_dir
            .join(BackendProbeCache::FILE)
            .display()
            .to_string();
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

impl Plugin {
    fn look(arguments: &StatusArguments) -> Result<Self, Failure> {
        let paths = NodePaths {
            bin_dir: arguments.cni_bin_dir.clone(),
            conf_dir: arguments.cni_conf_dir.clone(),
            run_dir: arguments.run_dir.clone(),
            ..NodePaths::default()
        };
        let status = mesh_cni_installer::status(&paths, None, None);
        let status = status.map_err(Failure::environment)?;
        Ok(Self {
            installation: status.installation.to_string(),
            installed: status.installation == Installation::Installed,
            configuration: status.conf.map(|conf| conf.display().to_string()),
            problems: status.problems.iter().map(ToString::to_string).collect(),
        })
    }
}
