//! Pods in ambient mode: the agent, a ztunnel, and sandboxes. Each test has a node of its own: a network
//! namespace in which the API server, the agent and ztunnel run.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mesh_cni_agent_api::{AMBIENT_SOCKET_FILE, Enrolment, EnrolmentError};
use mesh_cni_netns::{NetNs, SourceTable, source_addresses};
use mesh_cni_tests::{Agent, KubeApi, Process, must, start_ztunnel};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broken_pod::{BrokenPod, set_status};
use crate::cluster::{DEADLINE, NODE};

/// The value of the label that puts a pod into ambient mode, and of the one that keeps it out.
const AMBIENT: &str = "istio.io/dataplane-mode=ambient";
const NONE: &str = "istio.io/dataplane-mode=none";

/// A node with an API server.
struct Node {
    api: KubeApi,
    directory: TempDir,
    agent: Option<Agent>,
    ztunnel: Option<Process>,
}

/// Runs a test on a node of its own.
fn on_own_node(test: impl FnOnce(&mut Node) + Send) {
    let netns = NetNs::scratch().unwrap();
    // kube-apiserver requires a default route.
    for command in [
        "ip link set lo up",
        "ip link add eth0 type bridge",
        "ip address add 10.99.7.1/24 dev eth0",
        "ip link set eth0 up",
        "ip route add default via 10.99.7.254",
    ] {
        must(&netns, command);
    }
    let run = || {
        let mut node = Node {
            api: KubeApi::start(),
            directory: tempfile::tempdir().unwrap(),
            agent: None,
            ztunnel: None,
        };
        test(&mut node);
    };
    netns.run(run).unwrap();
}

impl Node {
    fn start_agent(&mut self) {
        let directory = self.directory.path();
        let mut command = Agent::command(&self.api.kubeconfig(), directory);
        command
            .args(["--profile", "ambient", "--ambient-enabled", "true"])
            .args(["--plugin-log-level", "debug"])
            .arg("--ztunnel-uds-address")
            .arg(self.socket());
        let mut agent = Agent::spawn(&command, directory);
        agent.wait_for_pods();
        self.agent = Some(agent);
    }

    /// Kills a running one first.
    fn start_ztunnel(&mut self) {
        self.ztunnel = None;
        self.ztunnel = Some(start_ztunnel(&self.socket(), false));
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("ztunnel.sock")
    }

    /// What ztunnels printed about the pod, such as `served`.
    fn changes(&self, pod: &BrokenPod) -> Vec<String> {
        let log = fs::read_to_string(self.socket().with_extension("log"));
        let log = log.unwrap_or_default();
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        let of_pod = lines.filter(|(_, uid)| uid.split(':').next() == Some(&pod.uid));
        of_pod.map(|(change, _)| change.to_owned()).collect()
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
        assert_eq!(self.changes(pod).last().unwrap(), "served");
        let entries = Self::probed().into_iter().filter(|owner| *owner == pod.uid);
        assert_eq!(entries.count(), 2);
    }

    fn wait_until_left(&self, pod: &BrokenPod, name: &str) {
        self.eventually(&format!("{name} has not left"), |node| {
            node.annotation(name).is_null() && pod.has_no_rules()
        });
        assert_eq!(self.changes(pod).last().unwrap(), "stopped");
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
        node.start_ztunnel();
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
        node.eventually("cart has not ended", |node| {
            node.changes(&cart).last().unwrap() == "stopped" && Node::probed().is_empty()
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
        node.start_ztunnel();
        send("cart", &cart.netns).unwrap();
        assert_eq!(node.annotation("cart"), "enabled");
        assert_eq!(node.changes(&cart), ["served"]);
        // The agent finds that no rules exist, although the plugin must have written them.
        node.eventually("the rules are not written", |_| !cart.has_no_rules());
    });
}

#[test]
fn an_enrolled_pod_survives_restarts_and_is_repaired() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", AMBIENT, 10);
        let web = running(&node.api, "web", AMBIENT, 11);
        node.start_ztunnel();
        node.start_agent();
        for (pod, name) in [(&cart, "cart"), (&web, "web")] {
            node.wait_until_enrolled(pod, name);
        }
        // A new agent: ztunnel keeps both.
        node.agent = None;
        node.start_agent();
        node.eventually("ztunnel does not connect again", |node| {
            let log = node.agent.as_ref().unwrap().client().log();
            log.contains("a ztunnel has connected")
        });
        sleep(Duration::from_secs(1));
        assert_eq!(node.changes(&cart), ["served"]);
        // A new ztunnel: it receives both.
        node.start_ztunnel();
        node.eventually("the new ztunnel does not serve both", |node| {
            [&cart, &web]
                .iter()
                .all(|pod| node.changes(pod) == ["served", "served"])
        });
        // Rules that another program removes are written again.
        must(&cart.netns, "nft flush ruleset");
        assert!(cart.has_no_rules());
        node.api.must("label pod cart seen=1");
        node.eventually("the rules are not repaired", |_| !cart.has_no_rules());
        // A sandbox that has ended is deleted from ztunnel, and does not affect the other.
        must(&cart.netns, "ip address flush dev eth0");
        node.api.must("label pod cart seen=2 --overwrite");
        node.eventually("the dead namespace is not deleted", |node| {
            node.changes(&cart) == ["served", "served", "stopped"]
        });
        assert_eq!(node.changes(&web), ["served", "served"]);
    });
}

#[test]
fn an_agent_that_is_killed_at_any_time_ends_what_it_began() {
    on_own_node(|node| {
        let cart = running(&node.api, "cart", NONE, 10);
        node.start_ztunnel();
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
