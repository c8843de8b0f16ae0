//! `status`: the node at a glance — its kernel, the back ends, the choice of `auto`, the plugin, the
//! agent.

use std::error::Error;
use std::fs;
use std::path::Path;

use mesh_cni_installer::{Installation, NodePaths};
use mesh_cni_netns::{Backend, Survey, Xtables};
use serde::Serialize;

use crate::agent::{self, AgentError};
use crate::arguments::{Output, StatusArguments};
use crate::console::{BAD, BOLD, Console, DIM, GOOD, Styled};
use crate::failure::{Exit, Failure};

#[derive(Serialize)]
struct Report {
    kernel: String,
    backends: Vec<Verdict>,
    auto: Auto,
    plugin: Plugin,
    agent: Agent,
}

#[derive(Serialize)]
struct Verdict {
    backend: &'static str,
    works: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Which back end an ADD with `auto` tries first, and how it knows.
#[derive(Serialize)]
struct Auto {
    backend: Option<&'static str>,
    reason: String,
    /// Where that is remembered, if it is.
    remembered_in: Option<String>,
}

#[derive(Serialize)]
struct Plugin {
    installation: String,
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
    ailments: Vec<String>,
}

/// How the agent is, in its own words.
#[derive(Serialize)]
struct Agent {
    state: State,
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// None has run here, and a plugin with a pod source of its own needs none.
    None,
    Running,
    Updating,
    /// There was one, and nobody answers.
    Silent,
}

/// Prints it; the exit code says whether an ADD would work.
pub(crate) fn run(arguments: &StatusArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let report = Report::take(arguments)?;
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => {
            let text = serde_json::to_string_pretty(&report);
            text.expect("texts and booleans are always written as JSON") + "\n"
        }
    };
    console.result(&text)?;
    Ok(if report.works() { Exit::Done } else { Exit::No })
}

impl Report {
    fn take(arguments: &StatusArguments) -> Result<Self, Failure> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        let kernel = kernel.map_err(|e| Failure::environment(e).about("the kernel's release"))?;
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let now = Survey::take(&xtables);
        let remembered = Survey::recall(&arguments.run_dir, &xtables);
        let verdicts = now.verdicts.iter().map(|(backend, verdict)| Verdict {
            backend: backend.as_str(),
            works: verdict.is_ok(),
            reason: verdict.as_ref().err().cloned(),
        });
        Ok(Self {
            kernel: kernel.trim().to_owned(),
            backends: verdicts.collect(),
            auto: Auto::new(&now, remembered.as_ref(), arguments),
            plugin: Plugin::look(arguments)?,
            agent: Agent::ask(&arguments.run_dir.join("agent.sock")),
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
            let word = if index == 0 { "back ends" } else { "" };
            let said = match &verdict.reason {
                None => format!("{}", Styled(GOOD, "works")),
                Some(reason) => format!("{} {reason}", Styled(BAD, "does not work:")),
            };
            lines.push(format!("{}{:<16} {said}", head(word), verdict.backend));
        }
        let auto = self.auto.backend.unwrap_or("none");
        let reason = Styled(DIM, &self.auto.reason);
        lines.push(format!("{}{auto:<16} {reason}", head("auto")));
        let style = if self.plugin.installed { GOOD } else { BAD };
        let installation = Styled(style, &self.plugin.installation);
        let conf = self.plugin.configuration.as_ref();
        let conf = conf.map_or_else(String::new, |conf| format!(" in {conf}"));
        lines.push(format!("{}{installation}{conf}", head("plugin")));
        let ailments = self.plugin.ailments.iter();
        lines.extend(ailments.map(|ailment| format!("{}{ailment}", head(""))));
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
        let said = |state, why: String| Self { state, why };
        if !socket.exists() {
            let why = format!("none has run here: {} is not there", socket.display());
            return said(State::None, why);
        }
        match agent::status(socket) {
            Ok(status) if status.state == "running" => said(State::Running, status.why),
            Ok(status) => said(State::Updating, status.why),
            Err(error) => said(State::Silent, words(&error)),
        }
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Running => "running",
            Self::Updating => "updating",
            Self::Silent => "silent",
        }
    }
}

/// The error and what it comes from, on one line.
fn words(error: &AgentError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Auto {
    fn new(now: &Survey, remembered: Option<&Survey>, arguments: &StatusArguments) -> Self {
        let file = arguments.run_dir.join(Survey::FILE).display().to_string();
        let first = remembered.unwrap_or(now).first();
        let why = match first {
            None => "no back end works".to_owned(),
            Some(first) => why(first, remembered.unwrap_or(now)),
        };
        let source = match remembered {
            None => "asked now; the first ADD since the machine started remembers it".to_owned(),
            Some(remembered) if remembered.first() == now.first() => {
                format!("remembered in {file}")
            }
            Some(_) => format!("remembered in {file}; asked now, another one would come first"),
        };
        Self {
            backend: first.map(Backend::as_str),
            reason: format!("{why}; {source}"),
            remembered_in: remembered.map(|_| file),
        }
    }
}

/// Why that back end and none before it.
fn why(first: Backend, survey: &Survey) -> String {
    let before: Vec<_> = survey
        .verdicts
        .iter()
        .take_while(|(backend, _)| *backend != first)
        .map(|(backend, _)| backend.as_str())
        .collect();
    match before.as_slice() {
        [] => "the first of all, and it works".to_owned(),
        [one] => format!("the first that works, since {one} does not"),
        several => format!(
            "the first that works, since {} do not",
            several.join(" and ")
        ),
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
            ailments: status.ailments.iter().map(ToString::to_string).collect(),
        })
    }
}
