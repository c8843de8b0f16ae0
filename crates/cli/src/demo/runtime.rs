//! The container runtime's part: calls the chain of plugins for a pod, as the specification says.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mesh_cni_plan::PLUGIN_TYPE;
use serde_json::{Map, Value, json};

use super::error::DemoError;
use super::node::Node;
use super::patience::Patience;
use super::pod::Sandbox;
use super::program::{self, Finished};
use super::tools::Tools;

/// The newest version that the reference plugins of every distribution speak.
const CNI_VERSION: &str = "1.0.0";
const NETWORK: &str = "mesh-cni-demo";
/// How long a plugin may take.
pub(crate) const PLUGIN_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take once the demo is over.
const CLEARING_LIMIT: Duration = Duration::from_secs(15);

/// What a plugin was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Add,
    Check,
    Del,
}

/// What a call of one plugin came to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) plugin: String,
    /// Its result; null where the call has none.
    pub(crate) result: Value,
    /// What it said on stderr.
    pub(crate) said: String,
}

/// A runtime with one network.
pub(crate) struct Runtime<'demo> {
    tools: &'demo Tools,
    node: &'demo Node,
    plugins: Vec<Map<String, Value>>,
}

impl<'demo> Runtime<'demo> {
    /// `backend` is the plugin's.
    pub(crate) fn new(tools: &'demo Tools, node: &'demo Node, backend: &str) -> Self {
        let bridge = json!({
            "type": "bridge",
            "bridge": "mesh0",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": node.ipam_dir(),
                "ranges": [[{"subnet": "10.244.1.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        });
        let mesh = json!({
            "type": PLUGIN_TYPE,
            "pod_source": "file",
            "pod_dir": node.pod_dir(),
            "cni_agent_run_dir": node.run_dir(),
            "backend": backend,
            "plugin_log_level": "info",
        });
        let plugins = [bridge, mesh].into_iter();
        let plugins = plugins.filter_map(|plugin| plugin.as_object().cloned());
        Self {
            tools,
            node,
            plugins: plugins.collect(),
        }
    }

    /// The chain, by the plugins' names.
    pub(crate) fn chain(&self) -> String {
        let types = self.plugins.iter().map(type_of);
        types.collect::<Vec<_>>().join(", then ")
    }

    /// ADD: each plugin gets the result of the one before; the last one's is the pod's.
    pub(crate) fn add(
        &self,
        sandbox: &Sandbox,
        patience: Patience<'_>,
    ) -> Result<Vec<Called>, DemoError> {
        self.call(&loopback(), Call::Add, sandbox, None, patience)?;
        let mut called: Vec<Called> = Vec::new();
        for plugin in &self.plugins {
            let previous = called.last().map(|called| &called.result);
            called.push(self.call(plugin, Call::Add, sandbox, previous, patience)?);
        }
        Ok(called)
    }

    /// CHECK: every plugin gets the pod's result.
    pub(crate) fn check(
        &self,
        sandbox: &Sandbox,
        result: &Value,
        patience: Patience<'_>,
    ) -> Result<Vec<Called>, DemoError> {
        let plugins = self.plugins.iter();
        let calls =
            plugins.map(|plugin| self.call(plugin, Call::Check, sandbox, Some(result), patience));
        calls.collect()
    }

    /// DEL: in reverse; every plugin is called, whatever the others said.
    pub(crate) fn del(
        &self,
        sandbox: &Sandbox,
        result: Option<&Value>,
    ) -> Vec<Result<Called, DemoError>> {
        let patience = Patience::for_clearing(CLEARING_LIMIT);
        let plugins = self.plugins.iter().rev();
        plugins
            .map(|plugin| self.call(plugin, Call::Del, sandbox, result, patience))
            .collect()
    }

    fn call(
        &self,
        plugin: &Map<String, Value>,
        call: Call,
        sandbox: &Sandbox,
        previous: Option<&Value>,
        patience: Patience<'_>,
    ) -> Result<Called, DemoError> {
        let name = type_of(plugin).to_owned();
        let mut conf = plugin.clone();
        conf.insert("cniVersion".to_owned(), json!(CNI_VERSION));
        conf.insert("name".to_owned(), json!(NETWORK));
        if let Some(previous) = previous {
            conf.insert("prevResult".to_owned(), previous.clone());
        }
        let input = Value::Object(conf).to_string();
        let command = self.command(&name, call, sandbox);
        let finished = program::run(&self.node.netns, command, &input, patience)?;
        answer(name, call, finished)
    }

    fn command(&self, name: &str, call: Call, sandbox: &Sandbox) -> Command {
        let interface = if name == LOOPBACK { "lo" } else { "eth0" };
        let mut command = Command::new(self.path_of(name));
        command
            .env_clear()
            .env("PATH", &self.tools.path)
            .env("CNI_COMMAND", call.as_str())
            .env("CNI_CONTAINERID", &sandbox.container_id)
            .env("CNI_NETNS", sandbox.netns_path())
            .env("CNI_IFNAME", interface)
            .env("CNI_ARGS", sandbox.arguments())
            .env("CNI_PATH", &self.tools.cni_dir);
        command
    }

    fn path_of(&self, name: &str) -> PathBuf {
        match name {
            PLUGIN_TYPE => self.tools.plugin.clone(),
            other => self.tools.cni_dir.join(other),
        }
    }
}

impl Call {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
        }
    }
}

const LOOPBACK: &str = "loopback";

/// Runtimes bring `lo` up by a network of its own.
fn loopback() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(LOOPBACK))])
}

fn type_of(plugin: &Map<String, Value>) -> &str {
    plugin
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn answer(plugin: String, call: Call, finished: Finished) -> Result<Called, DemoError> {
    let unreadable = |said: &str| DemoError::Unreadable {
        program: plugin.clone(),
        said: said.trim().to_owned(),
    };
    if !finished.status.success() {
        let error: Value = serde_json::from_str(&finished.stdout)
            .map_err(|_none| unreadable(&(finished.stdout.clone() + &finished.stderr)))?;
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let message = format!(
            "{} ({}, code {})",
            text("msg"),
            text("details"),
            error["code"]
        );
        return Err(DemoError::Plugin {
            plugin,
            command: call.as_str(),
            message,
        });
    }
    let result = match call {
        Call::Add => {
            serde_json::from_str(&finished.stdout).map_err(|_none| unreadable(&finished.stdout))?
        }
        Call::Check | Call::Del => Value::Null,
    };
    Ok(Called {
        plugin,
        result,
        said: finished.stderr,
    })
}
