//! The container runtime: calls the chain of plugins for a pod, as the CNI specification requires.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mesh_cni_plan::{MeshConf, PLUGIN_TYPE};
use serde_json::{Map, Value, json};

use super::error::DemoError;
use super::node::Node;
use super::program::{self, Finished};
use super::sandbox::Sandbox;
use super::sidecar::Sidecar;
use super::tools::Tools;
use super::wait::Wait;

/// The newest version that the reference plugins of all distributions support.
const CNI_VERSION: &str = "1.0.0";
const NETWORK: &str = "mesh-cni-demo";
/// The time limit for a plugin.
pub(crate) const PLUGIN_LIMIT: Duration = Duration::from_secs(60);
/// The time limit for DEL, which a signal does not shorten.
const DEL_LIMIT: Duration = Duration::from_secs(15);

/// `CNI_COMMAND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Add,
    Check,
    Del,
}

/// The output of a plugin that succeeded.
#[derive(Debug)]
pub(crate) struct PluginResult {
    pub(crate) plugin: String,
    /// The result; null except for ADD.
    pub(crate) result: Value,
    pub(crate) stderr: String,
}

/// A runtime with one network.
pub(crate) struct Runtime<'demo> {
    tools: &'demo Tools,
    node: &'demo Node,
    plugins: Vec<Map<String, Value>>,
    /// The configuration of our plugin.
    pub(crate) conf: MeshConf,
}

impl<'demo> Runtime<'demo> {
    /// `backend` is a field of the plugin's configuration.
    pub(crate) fn new(
        tools: &'demo Tools,
        node: &'demo Node,
        backend: &str,
        sidecar: &Sidecar,
    ) -> Self {
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
            "profile": sidecar.profile,
            "backend": backend,
            "plugin_log_level": "info",
        });
        let plugins: Vec<_> = [bridge, mesh]
            .iter()
            .filter_map(|plugin| plugin.as_object().cloned())
            .collect();
        let conf = plugins.last().map(MeshConf::decode);
        let conf = conf.and_then(Result::ok);
        Self {
            tools,
            node,
            plugins,
            conf: conf
                .expect("the configuration is valid, which the root tests check")
                .conf,
        }
    }

    /// The configuration of our plugin, as JSON.
    pub(crate) fn entry(&self) -> String {
        let entry = self.plugins.last().cloned().unwrap_or_default();
        Value::Object(entry).to_string()
    }

    /// The types of the plugins.
    pub(crate) fn chain(&self) -> String {
        let types: Vec<_> = self.plugins.iter().map(type_of).collect();
        types.join(", then ")
    }

    /// ADD: each plugin gets the result of the previous one; the last result is the pod's.
    pub(crate) fn add(
        &self,
        sandbox: &Sandbox,
        wait: Wait<'_>,
    ) -> Result<Vec<PluginResult>, DemoError> {
        self.call(&loopback(), Call::Add, sandbox, None, wait)?;
        let mut results: Vec<PluginResult> = Vec::new();
        for plugin in &self.plugins {
            let previous = results.last().map(|last| &last.result);
            results.push(self.call(plugin, Call::Add, sandbox, previous, wait)?);
        }
        Ok(results)
    }

    /// CHECK: each plugin gets the pod's result.
    pub(crate) fn check(
        &self,
        sandbox: &Sandbox,
        result: &Value,
        wait: Wait<'_>,
    ) -> Result<Vec<PluginResult>, DemoError> {
        self.plugins
            .iter()
            .map(|plugin| self.call(plugin, Call::Check, sandbox, Some(result), wait))
            .collect()
    }

    /// DEL: in reverse order. A failure does not stop the others.
    pub(crate) fn del(
        &self,
        sandbox: &Sandbox,
        result: Option<&Value>,
    ) -> Vec<Result<PluginResult, DemoError>> {
        let wait = Wait::uninterrupted(DEL_LIMIT);
        self.plugins
            .iter()
            .rev()
            .map(|plugin| self.call(plugin, Call::Del, sandbox, result, wait))
            .collect()
    }

    fn call(
        &self,
        plugin: &Map<String, Value>,
        call: Call,
        sandbox: &Sandbox,
        previous: Option<&Value>,
        wait: Wait<'_>,
    ) -> Result<PluginResult, DemoError> {
        let name = type_of(plugin).to_owned();
        let mut conf = plugin.clone();
        conf.insert("cniVersion".to_owned(), json!(CNI_VERSION));
        conf.insert("name".to_owned(), json!(NETWORK));
        if let Some(previous) = previous {
            conf.insert("prevResult".to_owned(), previous.clone());
        }
        let input = Value::Object(conf).to_string();
        let command = self.command(&name, call, sandbox);
        let finished = program::run(&self.node.netns, command, &input, wait)?;
        plugin_result(name, call, finished)
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
            .env("CNI_ARGS", sandbox.cni_args())
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

/// Runtimes enable `lo` with a separate network.
fn loopback() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(LOOPBACK))])
}

fn type_of(plugin: &Map<String, Value>) -> &str {
    plugin
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn plugin_result(
    plugin: String,
    call: Call,
    finished: Finished,
) -> Result<PluginResult, DemoError> {
    let unexpected = |output: &str| DemoError::Unexpected {
        program: plugin.clone(),
        output: output.trim().to_owned(),
    };
    if !finished.status.success() {
        let error: Value = serde_json::from_str(&finished.stdout)
            .map_err(|_invalid| unexpected(&(finished.stdout.clone() + &finished.stderr)))?;
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
        Call::Add => serde_json::from_str(&finished.stdout)
            .map_err(|_invalid| unexpected(&finished.stdout))?,
        Call::Check | Call::Del => Value::Null,
    };
    Ok(PluginResult {
        plugin,
        result,
        stderr: finished.stderr,
    })
}
