//! Pod sources: the requests of an ADD, the answers that it accepts, and calls without a request.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::fake_agent::{FakeAgent, response};
use crate::support::{Call, Node, Output, assert_snapshot};

const ARGS: &str =
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=productpage;K8S_POD_UID=u-1";

/// An ADD with that pod source.
fn add(node: &Node, source: &str) -> Call {
    with(node, &json!({"pod_source": source}))
}

/// An ADD with these fields in its configuration.
fn with(node: &Node, fields: &Value) -> Call {
    let mut conf = node.conf();
    for (field, value) in fields.as_object().unwrap() {
        conf[field] = value.clone();
    }
    node.call("ADD").conf(&conf).with("CNI_ARGS", ARGS)
}

/// A pod without a sidecar, so that nothing is programmed.
fn plain_facts() -> String {
    json!({
        "namespace": "default", "name": "productpage", "uid": "u-1",
        "containers": [{"name": "app"}],
    })
    .to_string()
}

fn passed(output: &Output) -> bool {
    output.code == 0 && output.json()["ips"][0]["address"] == "10.244.1.17/24"
}

fn run_dir(node: &Node) -> std::path::PathBuf {
    node.path().join("run")
}

#[test]
fn the_agent_gets_a_request_with_name_and_uid_and_a_report() {
    let node = Node::new();
    let agent = FakeAgent::new(&run_dir(&node), &response(200, &plain_facts()));
    let answer = add(&node, "agent").run();
    assert!(passed(&answer), "{}", answer.stdout);
    assert_eq!(
        agent.request().line,
        "GET /v1/pods/default/productpage?uid=u-1 HTTP/1.1\r\n"
    );
    let report = agent.request();
    assert_eq!(report.line, "POST /v1/reports HTTP/1.1\r\n");
    let mut report: Value = serde_json::from_str(&report.body).unwrap();
    assert!(report["duration_us"].as_u64().unwrap() > 0);
    report["duration_us"] = json!(0);
    assert_snapshot!(
        "report",
        "the log line, the reason as a code, the pod and its sandbox",
        serde_json::to_string_pretty(&report).unwrap()
    );
}

#[test]
fn every_error_of_the_agent_has_a_code() {
    let error = |status, message: &str| response(status, &json!({"error": message}).to_string());
    let other = plain_facts().replace("productpage", "till");
    let earlier = plain_facts().replace("u-1", "u-0");
    let newer = response(200, &newer_answer(&["labels", "mesh"]).to_string());
    let table: Vec<String> = [
        ("no such pod", error(404, "the API server knows no pod")),
        (
            "another pod of the name",
            error(409, "UID u-2 now, not u-1"),
        ),
        (
            "a pod that cannot be read",
            error(422, "pod x: `spec` is missing"),
        ),
        ("no API server", error(503, "cannot be fetched")),
        ("a bug", response(500, "oops")),
        ("invalid facts", response(200, "{}")),
        ("an agent with an unknown required field", newer),
        ("facts for another pod", response(200, &other)),
        ("facts for an earlier pod", response(200, &earlier)),
        ("another protocol than HTTP", "SSH-2.0\r\n\r\n".to_owned()),
        (
            "an incomplete response",
            response(200, "{}").replace(": 2", ": 9"),
        ),
        ("an empty response", String::new()),
    ]
    .into_iter()
    .map(|(situation, answer)| {
        let node = Node::new();
        let _agent = FakeAgent::new(&run_dir(&node), &answer);
        let answer = add(&node, "agent").run();
        let error = answer.json();
        let (code, msg) = (&error["code"], error["msg"].as_str().unwrap());
        node.readable(&format!("{situation}\n  {code} {msg}\n"))
    })
    .collect();
    assert_snapshot!(
        "agent-answers",
        "11 if a later attempt can succeed, 7 for a pod or facts that must be fixed; none succeeds",
        table.concat()
    );
}

/// The answer of an agent with a newer protocol.
fn newer_answer(required: &[&str]) -> Value {
    let mut answer: Value = serde_json::from_str(&plain_facts()).unwrap();
    answer["protocol_version"] = json!(2);
    answer["required"] = json!(required);
    answer["mesh"] = json!("later");
    answer
}

#[test]
fn a_newer_answer_is_used_if_every_required_field_is_known() {
    let node = Node::new();
    let newer = newer_answer(&["containers"]).to_string();
    let _agent = FakeAgent::new(&run_dir(&node), &response(200, &newer));
    let answer = add(&node, "agent").run();
    assert!(passed(&answer), "{}", answer.stdout);
}

#[test]
fn an_unknown_required_field_is_refused_even_with_another_source() {
    let node = Node::new();
    let newer = newer_answer(&["mesh"]).to_string();
    let _agent = FakeAgent::new(&run_dir(&node), &response(200, &newer));
    let kubeconfig = node.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "").unwrap();
    let answer = with(
        &node,
        &json!({"pod_source": "auto", "kubeconfig": kubeconfig}),
    )
    .run();
    let error = answer.json();
    assert_eq!(error["code"], 11, "{error}");
    assert!(error["msg"].as_str().unwrap().contains("`mesh`"), "{error}");
}

#[test]
fn a_pod_of_linkerd_is_refused_until_the_annotations_of_its_namespace_are_known() {
    let facts = |namespace: &Value| {
        json!({
            "namespace": "default", "name": "productpage", "uid": "u-1",
            "containers": [{"name": "app"}, {"name": "linkerd-proxy", "run_as_user": 2102}],
            "namespace_annotations": namespace,
        })
        .to_string()
    };
    let invalid = json!({"config.linkerd.io/skip-outbound-ports": "25,http"});
    for (namespace, code, text) in [
        (json!(null), 11, "no `namespace_annotations`"),
        (
            invalid,
            7,
            "annotation config.linkerd.io/skip-outbound-ports of the namespace",
        ),
    ] {
        let node = Node::new();
        let _agent = FakeAgent::new(&run_dir(&node), &response(200, &facts(&namespace)));
        let fields = json!({"pod_source": "agent", "profile": ["asm", "linkerd"]});
        let error = with(&node, &fields).run().json();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["msg"].as_str().unwrap().contains(text), "{error}");
    }
}

#[test]
fn static_pods_have_the_uid_of_the_kubelet() {
    let node = Node::new();
    let mirror = json!({
        "namespace": "default", "name": "productpage", "uid": "of-the-mirror",
        "static_pod_uid": "u-1",
        "containers": [{"name": "app"}],
    });
    let _agent = FakeAgent::new(&run_dir(&node), &response(200, &mirror.to_string()));
    let answer = add(&node, "agent").run();
    assert!(passed(&answer), "{}", answer.stdout);
}

#[test]
fn without_an_agent_its_own_pod_and_excluded_namespaces_start() {
    let node = Node::new();
    let own = json!({"pod_source": "agent", "pod_namespace": "mesh"});
    let of = |namespace: &str, name: &str| {
        let args = format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}");
        with(&node, &own).with("CNI_ARGS", &args).run()
    };
    for (namespace, name) in [
        ("mesh", "mesh-cni-agent-x7k2p"),
        ("kube-system", "coredns-1"),
    ] {
        let answer = of(namespace, name);
        assert!(passed(&answer), "{namespace}/{name}: {}", answer.stdout);
    }
    for (namespace, name) in [
        ("default", "mesh-cni-agent-x7k2p"),
        ("mesh", "mesh-cni-agent"),
        ("mesh", "mesh-cni-agent-x7k2p-evil"),
        ("mesh", "mesh-cni-agentx7k2p"),
        ("mesh", "other"),
    ] {
        let answer = of(namespace, name);
        assert_eq!(answer.json()["code"], 11, "{namespace}/{name}");
    }
}

#[test]
fn an_excluded_namespace_and_no_pod_cause_only_a_report() {
    for (args, decision, reason) in [
        (
            "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-1",
            "skip",
            "namespace-excluded",
        ),
        ("IgnoreUnknown=1", "no_pod", ""),
    ] {
        let node = Node::new();
        let agent = FakeAgent::new(&run_dir(&node), "");
        let answer = add(&node, "agent").with("CNI_ARGS", args).run();
        assert!(passed(&answer), "{args}: {}", answer.stdout);
        let first = agent.request();
        assert!(first.line.starts_with("POST /v1/reports"), "{}", first.line);
        let report: Value = serde_json::from_str(&first.body).unwrap();
        assert_eq!(report["decision"], decision);
        assert_eq!(report["reason"], reason);
    }
}

#[test]
fn the_request_is_sent_before_the_namespace_is_opened() {
    let node = Node::new();
    let agent = FakeAgent::new(&run_dir(&node), &response(200, &plain_facts()));
    let answer = add(&node, "agent").with("CNI_NETNS", "/nowhere").run();
    assert_eq!(answer.json()["code"], 4, "{}", answer.stdout);
    // The agent may read the two connections in either order.
    let lines = [agent.request().line, agent.request().line];
    let request = "GET /v1/pods/default/productpage";
    assert!(
        lines.iter().any(|line| line.starts_with(request)),
        "{lines:?}"
    );
}

#[test]
fn a_stuck_agent_does_not_delay_excluded_namespaces() {
    let node = Node::new();
    std::fs::create_dir(run_dir(&node)).unwrap();
    // Listens and never accepts, like a stopped process.
    let _stuck = UnixListener::bind(run_dir(&node).join("agent.sock")).unwrap();
    let args = "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-1";
    let answer = add(&node, "agent").with("CNI_ARGS", args).run();
    assert!(passed(&answer), "{}", answer.stdout);
    let mut conf = node.conf();
    conf["cniVersion"] = json!("1.1.0");
    conf["pod_source"] = json!("agent");
    let status = node.call("STATUS").conf(&conf).run();
    assert_eq!(status.json()["code"], 50);
    let msg = status.json()["msg"].as_str().unwrap().to_owned();
    assert!(msg.contains("no response in time"), "{msg}");
}

#[test]
fn status_follows_the_agent() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["cniVersion"] = json!("1.1.0");
    conf["pod_source"] = json!("agent");
    let status = || node.call("STATUS").conf(&conf).run().json();
    assert_eq!(status()["code"], 50, "no agent");
    let words = "the pods of this node are not known yet";
    let agent = FakeAgent::new(&run_dir(&node), &response(503, words));
    let unready = status();
    assert_eq!(unready["code"], 50);
    assert!(
        unready["msg"].as_str().unwrap().contains(words),
        "{unready}"
    );
    assert_eq!(agent.request().line, "GET /readyz/watch HTTP/1.1\r\n");
}

/// The configuration from a runtime that passes these annotations.
fn with_annotations(annotations: &Value) -> Value {
    json!({
        "pod_source": "runtime",
        "runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations},
    })
}

/// The last log line of an ADD, from its report. None of these tests can enter a namespace.
fn decision(fields: &Value) -> String {
    let node = Node::new();
    let agent = FakeAgent::new(&run_dir(&node), "");
    let answer = with(&node, fields).run();
    let report: Value = serde_json::from_str(&agent.request().body).unwrap();
    let last = report["lines"].as_array().and_then(|lines| lines.last());
    let message = last.and_then(|line| line["message"].as_str());
    node.readable(&format!(
        "exit {}: {}\n",
        answer.code,
        message.unwrap_or_default()
    ))
}

#[test]
fn annotations_list_the_injected_containers() {
    let status = |text: &str| json!({"sidecar.istio.io/status": text});
    let table: Vec<String> = [
        ("a pod without annotations", json!(null)),
        ("a pod that was not injected", json!({"team": "shop"})),
        ("a sidecar", status(r#"{"initContainers": ["istio-validation"], "containers": ["istio-proxy"]}"#)),
        ("a native sidecar", status(r#"{"initContainers": ["istio-validation", "istio-proxy"], "containers": null}"#)),
        ("a pod with istio-init", status(r#"{"initContainers": ["istio-init"], "containers": ["istio-proxy"]}"#)),
        ("a gateway", json!({
            "inject.istio.io/templates": "gateway",
            "sidecar.istio.io/status": r#"{"initContainers": null, "containers": ["istio-proxy"]}"#,
        })),
        ("one that opted out", json!({
            "sidecar.istio.io/inject": "false",
            "sidecar.istio.io/status": r#"{"containers": ["istio-proxy"]}"#,
        })),
        ("an invalid status", status("injected")),
        ("annotations that are not an object", json!(["a"])),
    ]
    .into_iter()
    .map(|(situation, annotations)| {
        format!("{situation}\n  {}", decision(&with_annotations(&annotations)))
    })
    .collect();
    assert_snapshot!(
        "runtime-annotations",
        "a pod with a sidecar of either kind fails to enter the namespace in these tests (103); the \
         others pass through, except invalid annotations (7)",
        table.concat()
    );
}

/// The decisions of both profiles for these annotations of a pod with an injected proxy.
fn decisions(cases: &[(&str, Value)]) -> String {
    let of_profile = |profile: &str, annotations: &Value| {
        let mut annotations = annotations.clone();
        annotations["sidecar.istio.io/status"] = json!(r#"{"containers": ["istio-proxy"]}"#);
        let mut fields = with_annotations(&annotations);
        fields["profile"] = json!(profile);
        format!("  {profile}: {}", decision(&fields))
    };
    let rows = cases.iter().map(|(situation, annotations)| {
        let [asm, istio] = ["asm", "istio"].map(|profile| of_profile(profile, annotations));
        format!("{situation}\n{asm}{istio}")
    });
    rows.collect()
}

#[test]
fn templates_show_which_proxy_a_pod_has() {
    let templates = [
        "grpc-agent",
        "sidecar, grpc-agent",
        "sidecar",
        "custom,sidecar",
        "gateway",
        "sidecar,gateway",
        "gateway,sidecar",
        "kube-gateway",
        "waypoint",
        "edge",
        "grpc-simple,edge",
        "",
    ];
    let cases = templates.map(|names| (names, json!({"inject.istio.io/templates": names})));
    assert_snapshot!(
        "runtime-templates",
        "only a pod whose last known template is `sidecar`, and that does not use grpc-agent, fails to \
         enter the namespace in these tests (103); gateways, waypoints and proxies without Envoy pass \
         through; with only unknown templates the pod is refused (7)",
        decisions(&cases)
    );
}

#[test]
fn the_proxys_configuration_shows_its_variables() {
    let configs = [
        "proxyMetadata:\n  DISABLE_ENVOY: \"true\"\n",
        "{\"proxyMetadata\": {\"DISABLE_ENVOY\": \"1\"}}",
        "proxy_metadata: {DISABLE_ENVOY: \"false\"}",
        "interceptionMode: NONE",
        "concurrency: 2",
        "",
        "proxyMetadata: [DISABLE_ENVOY]",
        "proxyMetadata: {INVALID_DROP: \"maybe\"}",
    ];
    let cases = configs.map(|config| (config, json!({"proxy.istio.io/config": config})));
    assert_snapshot!(
        "runtime-proxy-config",
        "proxies without Envoy and mode NONE pass through; an annotation that is not a configuration \
         is refused (7); the others fail to enter the namespace in these tests (103)",
        decisions(&cases)
    );
}
