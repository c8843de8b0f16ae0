//! A cluster of one node that runs only the API server and the agent.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mesh_cni_tests::{Agent, AgentClient, KubeApi};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chart::render;

/// The node's name.
pub(crate) const NODE: &str = "node-1";

/// How long to wait for what the agent does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The API server, and an agent with its run directory.
pub(crate) struct Cluster {
    pub(crate) api: KubeApi,
    agent: Option<Agent>,
    directory: TempDir,
    options: Vec<&'static str>,
}

impl Cluster {
    /// Starts an API server with the role and the policies that the chart renders for these values.
    pub(crate) fn new(options: &[&'static str]) -> Self {
        let api = KubeApi::start();
        api.apply(&render(options));
        api.apply(
            &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}).to_string(),
        );
        Self {
            api,
            agent: None,
            directory: tempfile::tempdir().unwrap(),
            options: options.to_vec(),
        }
    }

    /// Starts the agent with the chart's capabilities and repair arguments, and additional flags.
    pub(crate) fn start_agent(&mut self, flags: &[&str]) {
        let capabilities = self.capabilities();
        self.start_agent_with(&capabilities, flags);
    }

    /// Starts the agent with these capabilities. A running agent is stopped first.
    pub(crate) fn start_agent_with(&mut self, capabilities: &[String], flags: &[&str]) {
        self.agent = None;
        // The token names the node, as the token of a pod on it does.
        let account = self
            .api
            .kubeconfig_bound("kube-system", "mesh-cni", "Node", NODE);
        let agent = if flags.contains(&"--plugin-binary") {
            Agent::installing(&account, self.directory.path())
        } else {
            Agent::command(&account, self.directory.path())
        };
        let mut command = with_capabilities(&agent, capabilities);
        command.args(self.arguments()).args(flags);
        let mut agent = Agent::spawn(&command, self.directory.path());
        agent.wait_for_pods();
        self.agent = Some(agent);
    }

    /// The container's capabilities in the `DaemonSet`, with the names of `setpriv`.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        capabilities(&agent_container(&self.options))
    }

    /// The `DaemonSet`'s arguments for repair and taint. `--proc-dir` is not changed.
    fn arguments(&self) -> Vec<String> {
        let container = agent_container(&self.options);
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments = arguments.map(|argument| argument.as_str().unwrap().to_owned());
        arguments
            .filter(|argument| argument.starts_with("--repair-") || argument.starts_with("--taint"))
            .collect()
    }

    /// Waits for a line of the agent's log that contains all these texts.
    pub(crate) fn wait_for_log(&mut self, texts: &[&str]) -> String {
        let what = format!("has not logged {texts:?}");
        self.agent_mut().wait_for(&what, |agent| {
            agent
                .log()
                .lines()
                .find(|line| texts.iter().all(|text| line.contains(text)))
                .map(str::to_owned)
        })
    }

    /// Waits until that many lines of the agent's log contain the text.
    pub(crate) fn wait_for_log_lines(&mut self, text: &str, times: usize) {
        let what = format!("has not logged {text} {times} times");
        self.agent_mut().wait_for(&what, |agent| {
            (count(&agent.log(), text) >= times).then_some(())
        });
    }

    /// The agent's page at that path, with its head.
    pub(crate) fn page(&self, path: &str) -> String {
        self.client().get(path).unwrap()
    }

    /// The number of lines of the log that contain the text.
    pub(crate) fn count(&self, text: &str) -> usize {
        count(&self.client().log(), text)
    }

    /// Waits until this is so.
    pub(crate) fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(Instant::now() < end, "{what}:\n{}", self.client().log());
            sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the agent's metrics contain the line.
    pub(crate) fn wait_for_metric(&mut self, line: &str) {
        let what = format!("has no metric {line}");
        self.agent_mut().wait_for(&what, |agent| {
            let metrics = agent.get("/metrics")?;
            metrics.lines().any(|found| found == line).then_some(())
        });
    }

    /// The `repair` of the agent's status.
    pub(crate) fn status(&self) -> Value {
        let response = self.client().get("/v1/status").unwrap();
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        status["repair"].clone()
    }

    /// The Events of the pod as `TYPE REASON: NOTE`, ordered by time.
    pub(crate) fn events(&self, uid: &str) -> Vec<String> {
        events(&self.api, uid)
    }

    fn client(&self) -> &AgentClient {
        self.agent.as_ref().unwrap().client()
    }

    fn agent_mut(&mut self) -> &mut Agent {
        self.agent.as_mut().unwrap()
    }
}

/// The agent's container in the chart with these values.
pub(crate) fn agent_container(options: &[&str]) -> Value {
    let daemon_set = crate::chart::object(options, "DaemonSet");
    daemon_set["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The capabilities that the container adds, with the names of `setpriv`.
pub(crate) fn capabilities(container: &Value) -> Vec<String> {
    let added = container["securityContext"]["capabilities"]["add"].as_array();
    let added = added.unwrap().iter();
    added
        .map(|name| name.as_str().unwrap().to_ascii_lowercase())
        .collect()
}

/// The agent's command with only these capabilities.
pub(crate) fn with_capabilities(agent: &Command, capabilities: &[String]) -> Command {
    let mut bounding_set = "--bounding-set=-all".to_owned();
    for name in capabilities {
        bounding_set.extend([",+", name]);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(bounding_set)
        .args(["--inh-caps=-all", "--no-new-privs"])
        .arg(agent.get_program())
        .args(agent.get_args());
    command
}

fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

/// The Events of the pod as `TYPE REASON: NOTE`, ordered by time.
pub(crate) fn events(api: &KubeApi, uid: &str) -> Vec<String> {
    let events = api.get("events.v1.events.k8s.io --namespace=default");
    let events = events["items"].as_array().unwrap().iter();
    let mut events: Vec<_> = events.filter(|it| it["regarding"]["uid"] == uid).collect();
    events.sort_by_key(|event| event["eventTime"].to_string());
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let shown = |event| {
        let [kind, reason, note] = ["type", "reason", "note"].map(|field| text(event, field));
        format!("{kind} {reason}: {note}")
    };
    events.into_iter().map(shown).collect()
}
