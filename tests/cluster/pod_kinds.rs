//! Every kind of pod: whether it is redirected, with which rules, and whether it works.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, drift};
use mesh_cni_netns::NetNs;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{Process, Resolver, Sender, must, productpage_rules, rules_with_annotation};
use serde_json::{Value, json};

use crate::images;
use crate::test_cluster::{MOST, TestCluster, address_of, name_of};
use crate::verify::assert_as_wanted;
use crate::workload;

/// The namespace of these pods.
const NAMESPACE: &str = "kinds";

/// The answer of the sidecar's resolver.
const ANSWER: &str = "by the proxy";

/// The annotation for interception mode TPROXY.
const TPROXY: (&str, &str) = ("sidecar.istio.io/interceptionMode", "TPROXY");

/// The IPv4 address of the dual-stack service.
const SERVICE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0x101);

/// Creates the namespace, and the pods that can start in parallel.
pub(crate) fn prepare(cluster: &mut TestCluster) {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}
    });
    cluster.kubectl.apply(&namespace.to_string());
    let pods = [
        native("native-sidecar"),
        tproxy_pod(),
        dns_capture_pod(),
        asking_pod(),
        host_network_pod(),
        idle_without_proxy("no-proxy"),
        opted_out_pod(),
    ];
    let objects = [workload::envoy_config(NAMESPACE)].into_iter().chain(pods);
    let objects = objects.chain(dual_stack_pods());
    cluster.kubectl.apply(&workload::list(objects).to_string());
}

/// A sidecar that is an init container which keeps running.
pub(crate) fn native_sidecar(cluster: &mut TestCluster) {
    let pod = create(cluster, &native("native-sidecar"));
    assert_rules(cluster, &pod, &productpage_rules());
    assert_as_wanted(cluster, &pod);
    assert_served_by_proxy(cluster, &pod);
}

pub(crate) fn tproxy(cluster: &mut TestCluster) {
    let pod = create(cluster, &tproxy_pod());
    assert_rules(cluster, &pod, &rules_with_annotation(TPROXY));
    assert_as_wanted(cluster, &pod);
    assert_served_by_proxy(cluster, &pod);
}

fn tproxy_pod() -> Value {
    let mut pod = workload::pod(NAMESPACE, "tproxy");
    pod["metadata"]["annotations"][TPROXY.0] = TPROXY.1.into();
    let proxy = &mut pod["spec"]["containers"][1];
    proxy["args"][1] = "/etc/istio/proxy/envoy-tproxy.yaml".into();
    // A transparent socket needs NET_ADMIN, which a program without file capabilities has only as root.
    // The group is still the proxy's.
    proxy["securityContext"] = json!({
        "runAsUser": 0,
        "runAsGroup": 1337,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    });
    pod
}

pub(crate) fn dns_capture(cluster: &mut TestCluster) {
    let pod = create(cluster, &dns_capture_pod());
    let netns = cluster.netns(&pod);
    let server = "10.96.0.10".parse().expect("it is a valid address");
    let answer = Resolver::ask(&netns, Sender::APP, (server, 53));
    assert_eq!(answer.as_deref(), Some(ANSWER));
    assert_as_wanted(cluster, &pod);
}

fn dns_capture_pod() -> Value {
    let mut pod = workload::pod(NAMESPACE, "dns-capture");
    pod["spec"]["containers"][1]["env"] =
        json!([{"name": "ISTIO_META_DNS_CAPTURE", "value": "true"}]);
    let containers = pod["spec"]["containers"].as_array_mut();
    containers.expect("a pod has containers").push(json!({
        "name": "resolver",
        "image": images::PROXY,
        "imagePullPolicy": "Never",
        "command": ["/bin/udp-echo", "127.0.0.1:15053", ANSWER],
        // It runs until its standard input is closed.
        "stdin": true,
        "securityContext": {"runAsUser": 1337, "runAsGroup": 1337},
    }));
    pod
}

/// Each pod has an address of each family and receives requests to both through its proxy. One pod
/// calls the other at the IPv6 address of a service, through both proxies.
pub(crate) fn dual_stack(cluster: &mut TestCluster) {
    cluster.kubectl.apply(&dual_stack_service().to_string());
    let [called, calling] = dual_stack_pods().map(|pod| create(cluster, &pod));
    for pod in [&called, &calling] {
        let found = cluster.live_rules_of(pod, Family::V6);
        assert_eq!(found.tables.len(), 1, "{found:?}");
        assert_as_wanted(cluster, pod);
    }
    cluster
        .node
        .wait_for_service(SocketAddr::new(SERVICE.into(), 9080));
    for address in addresses(&called) {
        let before = cluster.counters(&called);
        let page = cluster.ask_from_node(address, 9080, "/");
        assert_eq!(page, "dual-called v1\n", "{address}");
        let after = cluster.counters(&called);
        assert_eq!(after, before.plus(1, 0), "{address}");
    }
    for address in addresses(&calling) {
        let before = [&called, &calling].map(|pod| cluster.counters(pod));
        let page = cluster.ask_from_node(address, 9080, "/");
        assert_eq!(page, "dual-calling v1\ndual-called v1\n", "{address}");
        let after = [&called, &calling].map(|pod| cluster.counters(pod));
        assert_eq!(after[0], before[0].plus(1, 0), "{address}");
        assert_eq!(after[1], before[1].plus(1, 1), "{address}");
    }
}

/// A pod that is called, and a pod that calls it.
fn dual_stack_pods() -> [Value; 2] {
    let [mut called, mut calling] = ["dual-called", "dual-calling"].map(of_both_families);
    called["metadata"]["labels"] = json!({"app": "dual-called"});
    let address = format!("[{SERVICE}]");
    calling["spec"]["containers"][0] =
        workload::application("dual-calling", "v1", &[address.as_str()]);
    [called, calling]
}

/// A pod with rules for both families.
fn of_both_families(name: &str) -> Value {
    let mut pod = workload::pod(NAMESPACE, name);
    pod["spec"]["containers"][1]["env"] = json!([{"name": "ISTIO_DUAL_STACK", "value": "true"}]);
    pod
}

/// A service with an address of each family.
fn dual_stack_service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "dual-called", "namespace": NAMESPACE},
        "spec": {
            "ipFamilyPolicy": "RequireDualStack",
            "ipFamilies": ["IPv6", "IPv4"],
            "clusterIPs": [SERVICE, Ipv4Addr::new(10, 96, 1, 5)],
            "clusterIP": SERVICE,
            "selector": {"app": "dual-called"},
            "ports": [{"port": 9080}],
        },
    })
}

/// A pod's two addresses.
fn addresses(pod: &Value) -> Vec<IpAddr> {
    let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let addresses = addresses.filter_map(|address| address["ip"].as_str()?.parse().ok());
    let addresses: Vec<_> = addresses.collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    addresses
}

/// A job with a native sidecar calls a service, and ends.
pub(crate) fn job_that_ends(cluster: &mut TestCluster) {
    let mut template = native("job");
    template["spec"]["restartPolicy"] = "Never".into();
    template["spec"]["containers"][0]["args"] = json!(["get", "productpage:9080"]);
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": NAMESPACE, "name": "job"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": template["metadata"]["annotations"]},
                "spec": template["spec"],
            },
        },
    });
    cluster.kubectl.apply(&job.to_string());
    let complete = format!("job/job --namespace={NAMESPACE} --for=condition=Complete");
    cluster.kubectl.wait(&complete, MOST);
}

/// Before the proxy runs, only processes of the proxy's user have network access.
pub(crate) fn init_container_with_network(cluster: &mut TestCluster) {
    let pod = create(cluster, &asking_pod());
    assert_rules(cluster, &pod, &productpage_rules());
}

fn asking_pod() -> Value {
    let mut pod = workload::pod(NAMESPACE, "init-container");
    let mut asking = workload::application("asks", "v1", &[]);
    asking["args"] = json!(["get", "productpage:9080"]);
    asking["securityContext"]["runAsUser"] = 1337.into();
    pod["spec"]["initContainers"] = json!([asking]);
    pod
}

/// A pod on the node's network: the node's rules do not change.
pub(crate) fn host_network(cluster: &mut TestCluster) {
    create(cluster, &host_network_pod());
    let found = rules_as_text(&cluster.node.isolated_host().own_netns());
    assert!(!found.contains("ISTIO"), "{found}");
}

/// The runtime connects inside the pod's network, so `kubectl port-forward` reaches a port of the node's
/// loopback address.
pub(crate) fn host_network_loopback(cluster: &mut TestCluster) {
    const ANSWER: &str = "from the loopback address";
    let host = cluster.node.isolated_host().own_netns();
    let listener = host.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener
        .expect("the namespace exists")
        .expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let _request = stream.read(&mut [0; 4096])?;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{ANSWER}"
        )
    });
    let folder = tempfile::tempdir().expect("a temporary directory can be created");
    let log = folder.path().join("log");
    let mut command = cluster.kubectl.command();
    command.args(["port-forward", "pod/host-network", &format!(":{port}")]);
    command.args(["--namespace", NAMESPACE]);
    let mut forwarding = Process::start(&command, &log);
    let forwarded = forwarding.wait_for("does not forward", MOST, || {
        let text = fs::read_to_string(&log).ok()?;
        let (_, rest) = text.split_once("Forwarding from 127.0.0.1:")?;
        rest.split_once(" ->")?.0.parse().ok()
    });
    let answer = cluster.ask_from_node(Ipv4Addr::LOCALHOST, forwarded, "/");
    assert!(answer.contains(ANSWER), "{answer}");
}

fn host_network_pod() -> Value {
    let mut pod = workload::idle(NAMESPACE, "host-network");
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

pub(crate) fn two_containers_without_proxy(cluster: &mut TestCluster) {
    let pod = create(cluster, &idle_without_proxy("no-proxy"));
    assert_no_rules(cluster, &pod);
}

pub(crate) fn opted_out(cluster: &mut TestCluster) {
    let pod = create(cluster, &opted_out_pod());
    assert_no_rules(cluster, &pod);
}

fn opted_out_pod() -> Value {
    let mut pod = workload::idle(NAMESPACE, "opted-out");
    pod["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false".into();
    pod
}

/// A stateful set's pod is re-created under its name, and has rules again.
pub(crate) fn stateful_set(cluster: &mut TestCluster) {
    let labels = json!({"app": "stateful"});
    let template = workload::pod(NAMESPACE, "stateful");
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"namespace": NAMESPACE, "name": "stateful"},
        "spec": {
            "serviceName": "stateful",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels, "annotations": template["metadata"]["annotations"]
                },
                "spec": template["spec"],
            },
        },
    });
    cluster.kubectl.apply(&set.to_string());
    let name = format!("pod/stateful-0 --namespace={NAMESPACE}");
    cluster.kubectl.wait(&format!("{name} --for=create"), MOST);
    let first = cluster.ready(NAMESPACE, "stateful-0");
    cluster.kubectl.must(&format!("delete --wait {name}"));
    cluster.kubectl.wait(&format!("{name} --for=create"), MOST);
    let second = cluster.ready(NAMESPACE, "stateful-0");
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_rules(cluster, &second, &productpage_rules());
    assert_served_by_proxy(cluster, &second);
}

/// A hundred pods start at once, each with its rules.
pub(crate) fn hundred_pods(cluster: &mut TestCluster) {
    let labels = json!({"app": "hundred"});
    let template = workload::idle(NAMESPACE, "hundred");
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": NAMESPACE, "name": "hundred"},
        "spec": {
            "replicas": 100,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels, "annotations": template["metadata"]["annotations"]
                },
                "spec": template["spec"],
            },
        },
    });
    cluster.kubectl.apply(&deployment.to_string());
    let name = format!("deployment/hundred --namespace={NAMESPACE}");
    cluster.kubectl.rolled_out(&name, MOST);
    let pods = cluster.pods("app=hundred");
    assert_eq!(pods.len(), 100);
    for pod in &pods {
        assert_rules(cluster, pod, &productpage_rules());
    }
    // Waits, so that the next stage starts on an idle node.
    cluster
        .kubectl
        .must(&format!("delete --wait --cascade=foreground {name}"));
}

/// A pod whose sidecar is an init container that keeps running.
fn native(name: &str) -> Value {
    let mut pod = workload::pod(NAMESPACE, name);
    let mut sidecar = workload::sidecar();
    sidecar["restartPolicy"] = "Always".into();
    // The containers after it start when the proxy is ready.
    sidecar["startupProbe"] = sidecar["readinessProbe"].clone();
    pod["spec"]["initContainers"] = json!([sidecar]);
    pod["spec"]["containers"] = json!([workload::application(name, "v1", &[])]);
    pod
}

/// A pod of two containers without a proxy.
fn idle_without_proxy(name: &str) -> Value {
    let mut pod = workload::idle(NAMESPACE, name);
    pod["spec"]["containers"][1]["name"] = "assistant".into();
    pod
}

/// Creates the pod and returns it when it is ready.
fn create(cluster: &TestCluster, pod: &Value) -> Value {
    cluster.kubectl.apply(&pod.to_string());
    cluster.ready(NAMESPACE, name_of(pod))
}

fn assert_rules(cluster: &TestCluster, pod: &Value, wanted: &RuleSet) {
    let found = cluster.live_rules(pod);
    assert_eq!(drift(wanted, &found, &OWNERSHIP), None, "{}", name_of(pod));
}

fn assert_no_rules(cluster: &TestCluster, pod: &Value) {
    let found = rules_as_text(&cluster.netns(pod));
    assert_eq!(found, "", "{}", name_of(pod));
    assert_as_wanted(cluster, pod);
}

/// Checks that the application answers a request from the node, and that its proxy counts it.
fn assert_served_by_proxy(cluster: &TestCluster, pod: &Value) {
    let before = cluster.counters(pod);
    let page = cluster.ask_from_node(address_of(pod), 9080, "/");
    assert!(page.ends_with(" v1\n"), "{page}");
    assert_eq!(cluster.counters(pod), before.plus(1, 0), "{}", name_of(pod));
}

/// All rules that `nft` lists in a namespace.
fn rules_as_text(netns: &NetNs) -> String {
    must(netns, "nft list ruleset")
}
