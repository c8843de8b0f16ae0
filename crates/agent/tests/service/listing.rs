//! The list of the node's pods, on the socket and as the command prints it.

use std::path::Path;
use std::process::{Command, Output};

use mesh_cni_agent_api::{MAX_LISTED_PODS, PodDecision, PodList, PodListSource, RulesApplied};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::api_server::ApiServer;
use crate::objects::pod;

/// `mesh-cni-agent pods` with the socket in that directory.
fn pods(run_dir: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesh-cni-agent"))
        .env_clear()
        .arg("pods")
        .arg("--run-dir")
        .arg(run_dir)
        .args(flags)
        .output()
        .unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn list(agent: &Agent, path: &str) -> PodList {
    let answer = agent.get(path);
    assert_eq!(answer.code, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn report(agent: &Agent, pod: &Value, decision: &str, reason: &str) {
    let metadata = &pod["metadata"];
    let report = json!({
        "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
        "decision": decision, "reason": reason,
        "lines": [{"level": "error", "message": "the proxy's port is\u{1b} `0`"}],
    });
    assert_eq!(agent.post("/v1/reports", &report.to_string()).code, 202);
}

/// A redirected pod, a skipped one, one with an invalid setting, and one on the node's network.
fn node() -> (ApiServer, Agent, [Value; 4]) {
    let mut skipped = pod("odd", "o-1");
    skipped["spec"]["containers"] = json!([{"name": "app"}]);
    let mut refused = pod("bad", "b-1");
    refused["metadata"]["annotations"]["traffic.sidecar.istio.io/includeInboundPorts"] = json!("x");
    let mut host = pod("host", "h-1");
    host["spec"]["hostNetwork"] = json!(true);
    let pods = [pod("cart", "c-1"), skipped, refused, host];
    let server = ApiServer::new(pods.clone());
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    (server, agent, pods)
}

#[test]
fn each_pod_is_listed_with_decision_rules_and_failed_adds() {
    let (_server, agent, [cart, _, bad, _]) = node();
    report(&agent, &cart, "error", "11");
    report(&agent, &cart, "error", "102");
    report(&agent, &bad, "redirect", "container");
    let list = list(&agent, "/v1/pods");
    assert_eq!(
        (list.protocol_version, &*list.node, list.total),
        (1, "node-1", 4)
    );
    assert_eq!(
        (list.source, &list.note, &list.next),
        (PodListSource::Watch, &None, &None)
    );
    let found: Vec<_> = list
        .pods
        .iter()
        .map(|pod| (&*pod.name, pod.decision, pod.rules))
        .collect();
    assert_eq!(
        found,
        [
            ("bad", PodDecision::Refuse, RulesApplied::Unknown),
            ("cart", PodDecision::Redirect, RulesApplied::Unknown),
            ("host", PodDecision::Skip, RulesApplied::No),
            ("odd", PodDecision::Skip, RulesApplied::Unknown),
        ]
    );
    let [bad, cart, host, odd] = list.pods.as_slice() else {
        panic!("{list:?}");
    };
    assert!(bad.reason.contains("`x`"), "{bad:?}");
    assert_eq!(bad.refusals, None, "no ADD of it failed");
    let why = Some("no process of the pod is visible".to_owned());
    assert_eq!((&cart.rules_detail, &odd.rules_detail), (&why, &why));
    assert!(
        host.rules_detail
            .as_ref()
            .unwrap()
            .contains("node's network")
    );
    let refusals = cart.refusals.as_ref().unwrap();
    assert_eq!((refusals.count, &*refusals.code), (2, "102"));
    assert_eq!(cart.uid.as_deref(), Some("c-1"));
}

#[test]
fn a_long_list_has_several_pages() {
    let count = MAX_LISTED_PODS + 50;
    let names = (0..count).map(|number| format!("p-{number:03}"));
    let server = ApiServer::new(names.map(|name| pod(&name, &name)));
    let agent = Agent::start(&[], |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("watch: listed");
    let first = list(&agent, "/v1/pods");
    assert_eq!((first.total, first.pods.len()), (count, MAX_LISTED_PODS));
    assert_eq!(first.next.as_deref(), Some("shop/p-199"));
    let second = list(&agent, "/v1/pods?after=shop%2Fp-199");
    assert_eq!((second.pods.len(), &second.next), (50, &None));
    assert_eq!(second.pods[0].name, "p-200");
    assert_eq!(agent.get("/v1/pods?after=p-199").code, 400);
    let json = stdout(pods(&agent.run_dir(), &["--output", "json"]));
    let all: PodList = serde_json::from_str(&json).unwrap();
    assert_eq!((all.pods.len(), all.total, all.next), (count, count, None));
    let text = stdout(pods(&agent.run_dir(), &[]));
    assert_eq!(
        text.lines().count(),
        count + 1,
        "a title, and a line for each pod"
    );
}

#[test]
fn without_a_watch_the_list_has_the_pods_of_reports_and_says_so() {
    let flags = ["--pod-source", "file", "--pod-dir", "/etc/mesh-cni/pods"];
    let agent = Agent::start_on_node(|_| {
        let flags = flags.into_iter().chain(["--install", "false"]);
        flags.map(str::to_owned).collect()
    });
    assert_eq!(list(&agent, "/v1/pods").pods, []);
    report(&agent, &pod("cart", "c-1"), "redirect", "container");
    report(&agent, &pod("bad", "b-1"), "error", "7");
    let list = list(&agent, "/v1/pods");
    assert_eq!(list.source, PodListSource::Reports);
    assert!(
        list.note.as_ref().unwrap().contains("pod source `file`"),
        "{list:?}"
    );
    let found: Vec<_> = list
        .pods
        .iter()
        .map(|pod| (&*pod.name, pod.decision, pod.rules))
        .collect();
    assert_eq!(
        found,
        [
            ("bad", PodDecision::Refuse, RulesApplied::Unknown),
            ("cart", PodDecision::Redirect, RulesApplied::Unknown),
        ]
    );
    let text = stdout(pods(&agent.run_dir(), &[]));
    assert!(
        text.starts_with("note: the agent does not watch pods"),
        "{text}"
    );
    assert!(text.contains(r"the proxy's port is\u{1b} `0`"), "{text}");
    let page = agent.get("/").body;
    for part in [
        "pod source <code>file</code>",
        "Failed ADDs: 1",
        "Rules applied?",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(
        !page.contains("href=\"/pods/"),
        "the agent knows no more about them: {page}"
    );
}

#[test]
fn without_an_agent_the_command_fails() {
    let directory = tempfile::tempdir().unwrap();
    let output = pods(directory.path(), &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.starts_with("error: no agent answers on `"),
        "{stderr}"
    );
    assert!(stderr.contains("\nhint: "), "{stderr}");
}
