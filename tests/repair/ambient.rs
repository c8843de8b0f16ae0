//! Pods in ambient mode: the agent with the rights of the chart, a ztunnel, and sandboxes. Each test has a
//! node of its own: a network namespace in which the API server and the agent run.

mod starting;
mod taking_over;

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mesh_cni_agent_api::{AMBIENT_SOCKET_FILE, Enrolment, EnrolmentError};
use mesh_cni_netns::{NetNs, SourceTable, source_addresses};
use mesh_cni_tests::{Agent, KubeApi, Process, ZtunnelPod, must, start_ztunnel, ztunnel_listeners};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broken_pod::{BrokenPod, set_status};
use crate::chart::{object, render};
use crate::cluster::{DEADLINE, NODE, agent_container, capabilities, events, with_capabilities};

/// The value of the label that puts a pod into ambient mode, and of the one that keeps it out.
const AMBIENT: &str = "istio.io/dataplane-mode=ambient";
const NONE: &str = "istio.io/dataplane-mode=none";

/// The values of the chart.
const VALUES: &[&str] = &[r#"profile="ambient""#, "repair.enabled=false"];

/// The pods that ztunnel knows, with the addresses of [`running`] and of those that a runtime starts in this order.
const PODS: [(&str, [&str; 4]); 2] = [
    (
        "cart",
        ["10.99.7.10", "fd00:99:7::10", "10.99.8.2", "fd00:99:8::2"],
    ),
    (
        "web",
        ["10.99.7.11", "fd00:99:7::11", "10.99.8.3", "fd00:99:8::3"],
    ),
];

/// A node with an API server, and the objects of the chart.
struct Node {
    api: KubeApi,
    /// The plugin's entry.
    entry: Value,
    /// The names of the agent's capabilities.
    capabilities: Vec<String>,
    directory: TempDir,
    agent: Option<Agent>,
    ztunnel: Option<Process>,
}

/// Runs a test on a node of its own.
fn on_own_node(test: impl FnOnce(&mut Node) + Send) {
    let netns = NetNs::scratch().unwrap();
    // kube-apiserver requires a default route. Duplicate address detection would delay the addresses of bridges.
    for command in [
        "sysctl -q net.ipv6.conf.default.accept_dad=0",
        "ip link set lo up",
        "ip link add eth0 type bridge",
        "ip address add 10.99.7.1/24 dev eth0",
        "ip link set eth0 up",
        "ip route add default via 10.99.7.254",
    ] {
        must(&netns, command);
    }
    let run = || {
        let entry = object(VALUES, "ConfigMap")["data"]["entry.json"].clone();
        let mut node = Node {
            api: KubeApi::start(),
            entry: entry.as_str().unwrap().parse().unwrap(),
            capabilities: capabilities(&agent_container(VALUES)),
            directory: tempfile::tempdir().unwrap(),
            agent: None,
            ztunnel: None,
        };
        node.api.apply(&render(VALUES));
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        node.api.apply(&object.to_string());
        test(&mut node);
    };
    netns.run(run).unwrap();
}

impl Node {
    fn start_agent(&mut self) {
        self.start_agent_with(&["--ambient-enabled", "true"]);
    }

    fn start_agent_with(&mut self, flags: &[&str]) {
        let directory = self.directory.path();
        let account = self
            .api
            .kubeconfig_bound("kube-system", "mesh-cni", "Node", NODE);
        let agent = Agent::command(&account, directory);
        let mut command = with_capabilities(&agent, &self.capabilities);
        command
            .args(["--profile", "ambient"])
            .args(["--plugin-log-level", "debug"])
            .arg("--ztunnel-uds-address")
            .arg(self.socket())
            .args(flags);
        let mut agent = Agent::spawn(&command, directory);
        agent.wait_for_pods();
        self.agent = Some(agent);
    }

    /// Kills a running one first.
    fn start_ztunnel(&mut self, is_strict: bool) {
        self.ztunnel = None;
        let pods = PODS.map(|(name, addresses)| ZtunnelPod {
            namespace: "default",
            name,
            addresses: addresses.map(|address| address.parse().unwrap()).into(),
        });
        self.ztunnel = Some(start_ztunnel(&self.socket(), is_strict, &pods));
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("ztunnel.sock")
    }

    /// What the agent answers.
    fn get(&self, path: &str) -> Value {
        let answer = self.agent.as_ref().unwrap().client().get(path).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Waits until the agent's metrics have these lines.
    fn wait_for_metrics(&self, lines: &[&str]) {
        let has = |node: &Self, line: &str| {
            let metrics = node.agent.as_ref().unwrap().client().get("/metrics");
            metrics.is_some_and(|metrics| metrics.lines().any(|found| found == line))
        };
        for line in lines {
            self.eventually(&format!("no metric {line}"), |node| has(node, line));
        }
    }

    fn annotation(&self, name: &str) -> Value {
        let pod = self.api.get(&format!("pod {name}"));
        pod["metadata"]["annotations"]["ambient.istio.io/redirection"].clone()
    }

    /// Pods whose addresses are in the set for probes, once for each family.
    fn probed() -> Vec<String> {
        let tables = ["169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"];
        let found = tables.into_iter().flat_map(|source| {
            let source = source.parse().unwrap();
            source_addresses(&SourceTable::new("mesh-cni-probes", "pods", source)).unwrap()
        });
        found.map(|address| address.owner).collect()
    }

    fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self) {
            let log = self.agent.as_ref().map(|agent| agent.client().log());
            assert!(Instant::now() < end, "{what}:\n{}", log.unwrap_or_default());
            sleep(Duration::from_millis(100));
        }
    }

    fn wait_until_enrolled(&self, pod: &BrokenPod, name: &str) {
        self.eventually(&format!("{name} is not enrolled"), |node| {
            node.annotation(name) == "enabled"
        });
        assert!(!pod.has_no_rules());
        assert!(!ztunnel_listeners(&pod.netns).is_empty());
        let entries = Self::probed().into_iter().filter(|owner| *owner == pod.uid);
        assert_eq!(entries.count(), 2);
    }

    fn wait_until_left(&self, pod: &BrokenPod, name: &str) {
        self.eventually(&format!("{name} has not left"), |node| {
            node.annotation(name).is_null() && pod.has_no_rules()
        });
        self.eventually("ztunnel still listens", |_| {
            ztunnel_listeners(&pod.netns).is_empty()
        });
        assert!(!Self::probed().contains(&pod.uid));
    }
}

fn manifest(name: &str, label: &str) -> Value {
    let (key, value) = label.split_once('=').unwrap();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {key: value}},
        "spec": {"nodeName": NODE, "containers": [{"name": "app", "image": "none"}]},
    })
}

/// A running pod with the addresses of that number.
fn running(api: &KubeApi, name: &str, label: &str, number: u8) -> BrokenPod {
    let pod = BrokenPod::create_from(api, manifest(name, label));
    let addresses = [format!("10.99.7.{number}"), format!("fd00:99:7::{number}")];
    must(&pod.netns, "ip address flush dev eth0");
    must(&pod.netns, "ip link set eth0 up");
    for (address, length) in addresses.iter().zip([32, 128]) {
        let address = format!("ip address add {address}/{length} dev eth0 nodad");
        must(&pod.netns, address.trim_end_matches(" nodad"));
    }
    let [v4, v6] = addresses;
    let status = json!({"phase": "Running", "podIP": v4, "podIPs": [{"ip": v4}, {"ip": v6}]});
    set_status(api, name, &status);
    pod
}

#[test]
fn a_running_pod_enters_and_leaves_ambient_mode_by_its_label() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        let other = running(&node.api, "other", NONE, 11);
        node.start_ztunnel(false);
        node.start_agent();
        node.wait_until_enrolled(&cart, "cart");
        for _ in 0..2 {
            node.api.must(&format!("label --overwrite pod cart {NONE}"));
            node.wait_until_left(&cart, "cart");
            node.api
                .must(&format!("label --overwrite pod cart {AMBIENT}"));
            node.wait_until_enrolled(&cart, "cart");
        }
        assert!(other.has_no_rules());
        assert_eq!(node.annotation("other"), Value::Null);
        node.api.must("delete pod cart --force --grace-period=0");
        node.eventually("cart has not ended", |_| {
            ztunnel_listeners(&cart.netns).is_empty() && Node::probed().is_empty()
        });
    });
}

#[test]
fn a_plugin_passes_a_starting_pod_to_ztunnel_or_is_refused() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        set_status(
            &node.api,
            "cart",
            &json!({"phase": "Pending", "podIP": null, "podIPs": null}),
        );
        node.start_agent();
        let socket = node.directory.path().join("run").join(AMBIENT_SOCKET_FILE);
        let addresses = vec![
            "10.99.7.10".parse().unwrap(),
            "fd00:99:7::10".parse().unwrap(),
        ];
        let send = |name: &str, netns: &NetNs| {
            let enrolment = Enrolment::new("default", name, None, addresses.clone());
            enrolment.send(&socket, netns.as_fd())
        };
        node.eventually("the agent does not listen", |_| socket.exists());
        for (refused, reason) in [
            (
                send("cart", &cart.netns),
                "no ztunnel is connected to the agent",
            ),
            (
                send("other", &cart.netns),
                "the agent's watch does not have the pod",
            ),
            (
                send("cart", &NetNs::current().unwrap()),
                "the request of the plugin is invalid: it is the network namespace of the agent",
            ),
        ] {
            let Err(EnrolmentError::Refused(refusal)) = refused else {
                panic!("{reason}: {refused:?}");
            };
            assert_eq!(refusal.reason, reason);
        }
        assert_eq!(node.annotation("cart"), Value::Null);
        node.start_ztunnel(false);
        send("cart", &cart.netns).unwrap();
        assert_eq!(node.annotation("cart"), "enabled");
        assert!(!ztunnel_listeners(&cart.netns).is_empty());
        // The agent finds that no rules exist, although the plugin must have written them.
        node.eventually("the rules are not written", |_| !cart.has_no_rules());
    });
}

#[test]
fn an_enrolled_pod_survives_restarts_and_is_repaired() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        let web = running(&node.api, "web", AMBIENT, 11);
        node.start_ztunnel(false);
        node.start_agent();
        for (pod, name) in [(&cart, "cart"), (&web, "web")] {
            node.wait_until_enrolled(pod, name);
        }
        let listeners = || [&cart, &web].map(|pod| ztunnel_listeners(&pod.netns));
        let first = listeners();
        // A new agent: ztunnel keeps both.
        node.agent = None;
        node.start_agent();
        node.eventually("ztunnel does not connect again", |node| {
            let log = node.agent.as_ref().unwrap().client().log();
            log.contains("a ztunnel has connected")
        });
        sleep(Duration::from_secs(1));
        assert_eq!(listeners(), first);
        // A new ztunnel: it receives both.
        node.start_ztunnel(false);
        node.eventually("the new ztunnel does not serve both", |_| {
            listeners().iter().all(|found| !found.is_empty())
        });
        let second = listeners();
        assert!(
            first
                .iter()
                .zip(&second)
                .all(|(old, new)| old.is_disjoint(new))
        );
        // Rules that another program removes are written again.
        must(&cart.netns, "nft flush ruleset");
        assert!(cart.has_no_rules());
        node.api.must("label pod cart seen=1");
        node.eventually("the rules are not repaired", |_| !cart.has_no_rules());
        // A sandbox that has ended is deleted from ztunnel, and does not affect the other.
        must(&cart.netns, "ip address flush dev eth0");
        node.api.must("label pod cart seen=2 --overwrite");
        node.eventually("the dead namespace is not deleted", |_| {
            ztunnel_listeners(&cart.netns).is_empty()
        });
        assert_eq!(ztunnel_listeners(&web.netns), second[1]);
    });
}

#[test]
fn an_agent_that_is_killed_at_any_time_ends_what_it_began() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", NONE, 10);
        node.start_ztunnel(false);
        for (number, label) in [AMBIENT, NONE].into_iter().cycle().take(8).enumerate() {
            node.start_agent();
            node.api
                .must(&format!("label --overwrite pod cart {label}"));
            // Each time later: between all steps.
            sleep(Duration::from_millis(7 * number as u64));
            node.agent = None;
        }
        node.start_agent();
        node.eventually("cart has not left", |node| {
            node.annotation("cart").is_null() && cart.has_no_rules() && Node::probed().is_empty()
        });
        node.api
            .must(&format!("label --overwrite pod cart {AMBIENT}"));
        node.wait_until_enrolled(&cart, "cart");
    });
}

#[test]
fn a_broken_pod_has_one_event_for_each_reason_and_is_in_status_list_and_metrics() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        let web = running(&node.api, "web", AMBIENT, 11);
        node.start_agent();
        // Without ztunnel both are broken, and nothing is annotated.
        node.wait_for_metrics(&[
            r#"mesh_cni_ambient_failures_total{reason="ztunnel"} 2"#,
            r#"mesh_cni_ambient_pods{state="broken"} 2"#,
            r#"mesh_cni_ambient_pods{state="enrolled"} 0"#,
            "mesh_cni_ambient_ztunnels 0.0",
            "mesh_cni_degraded 1",
        ]);
        let no_ztunnel = "no ztunnel is connected to the agent; check the ztunnel pod of the node and its log [ztunnel]";
        for pod in [&cart, &web] {
            node.eventually("no Event", |node| !events(&node.api, &pod.uid).is_empty());
            let event = format!("Warning EnrolmentFailed: {no_ztunnel}");
            assert_eq!(events(&node.api, &pod.uid), [event]);
        }
        let status = node.get("/v1/status");
        assert_eq!(status["ambient"]["broken"][0]["why"], no_ztunnel);
        let ready = node
            .agent
            .as_ref()
            .unwrap()
            .client()
            .get("/readyz")
            .unwrap();
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        assert!(
            ready.contains("degraded: no ztunnel is connected"),
            "{ready}"
        );
        // With one, they are enrolled and listed so.
        node.start_ztunnel(false);
        node.wait_until_enrolled(&cart, "cart");
        node.wait_until_enrolled(&web, "web");
        node.wait_for_metrics(&[
            r#"mesh_cni_ambient_pods{state="enrolled"} 2"#,
            r#"mesh_cni_ambient_pods{state="broken"} 0"#,
            r#"mesh_cni_ambient_changes_total{type="enrol"} 2"#,
            "mesh_cni_ambient_ztunnels 1.0",
            "mesh_cni_degraded 0",
        ]);
        assert_is_listed(node);
        // A namespace without the pod's addresses cannot be repaired; the other pod stays as it is.
        must(&cart.netns, "ip address flush dev eth0");
        node.api.must("label pod cart seen=1");
        node.wait_for_metrics(&[
            r#"mesh_cni_ambient_failures_total{reason="namespace"} 1"#,
            r#"mesh_cni_ambient_pods{state="broken"} 1"#,
            r#"mesh_cni_ambient_pods{state="enrolled"} 1"#,
        ]);
        node.eventually("no second Event", |node| {
            events(&node.api, &cart.uid).len() == 2
        });
        let event = &events(&node.api, &cart.uid)[1];
        assert!(
            event.starts_with("Warning EnrolmentFailed: none of the pod's addresses"),
            "{event}"
        );
        assert!(event.ends_with("[namespace]"), "{event}");
        let listed = node.get("/v1/pods")["pods"][0].clone();
        assert_eq!(listed["ambient"]["state"], "broken");
        // It is repaired when it has its addresses again.
        must(&cart.netns, "ip address add 10.99.7.10/32 dev eth0");
        node.wait_for_metrics(&[r#"mesh_cni_ambient_pods{state="enrolled"} 2"#]);
        assert_eq!(events(&node.api, &web.uid).len(), 1);
        assert_invalid_settings_change_nothing(node, &web);
    });
}

/// The first pod is enrolled, and the checker has seen all.
fn assert_is_listed(node: &Node) {
    let listed = node.get("/v1/pods")["pods"][0].clone();
    let fields = ["mesh", "decision", "rules"].map(|field| listed[field].clone());
    assert_eq!(fields, ["ambient", "enrol", "yes"]);
    assert_eq!(listed["ambient"], json!({"state": "enrolled"}));
    let status = node.get("/v1/status");
    assert!(status["ambient"]["check_age_seconds"].is_f64(), "{status}");
}

fn assert_invalid_settings_change_nothing(node: &Node, web: &BrokenPod) {
    // Invalid settings of an enrolled pod change nothing, and are reported.
    node.api
        .must("annotate pod web ambient.istio.io/dns-capture=maybe");
    node.eventually("no Event about settings", |node| {
        events(&node.api, &web.uid).len() == 2
    });
    let event = &events(&node.api, &web.uid)[1];
    assert!(
        event.contains("maybe") && event.ends_with("[settings]"),
        "{event}"
    );
    assert!(!web.has_no_rules());
    node.api
        .must("annotate pod web ambient.istio.io/dns-capture-");
    node.wait_for_metrics(&[r#"mesh_cni_ambient_pods{state="enrolled"} 2"#]);
}

#[test]
fn without_ambient_mode_the_host_rules_for_probes_remain_only_for_pods_that_run() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        let web = running(&node.api, "web", AMBIENT, 11);
        node.start_ztunnel(false);
        node.start_agent();
        node.wait_until_enrolled(&cart, "cart");
        node.wait_until_enrolled(&web, "web");
        let others = "add table ip others; add chain ip others postrouting";
        let own = NetNs::current().unwrap();
        must(&own, &format!("nft {others}"));
        node.agent = None;
        let tables = || must(&own, "nft list tables");
        for (ended, owners) in [("web", 2), ("cart", 0)] {
            let delete = format!("delete pod {ended} --force --grace-period=0");
            node.api.must(&delete);
            node.start_agent_with(&[]);
            node.eventually("addresses of ended pods remain", |_| {
                Node::probed().len() == owners
            });
            assert!(Node::probed().iter().all(|owner| *owner == cart.uid));
            if owners == 0 {
                node.eventually("the tables remain", |_| tables() == "table ip others\n");
            }
            node.agent = None;
        }
    });
}
