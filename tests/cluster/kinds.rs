//! Every kind of pod: which of them are redirected, by which rules, and whether they work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, drift};
use mesh_cni_netns::NetNs;
use mesh_cni_rules::OWNERSHIP;
use mesh_cni_tests::{Resolver, Sender, must, productpage_rules, rules_with_annotation};
use serde_json::{Value, json};

use crate::images;
use crate::verify::assert_as_wanted;
use crate::workload;
use crate::world::{MOST, World, address_of, name_of};

/// Where these pods live.
const NAMESPACE: &str = "kinds";

/// What the resolver of a sidecar answers.
const ANSWER: &str = "by the proxy";

/// The annotation of pods that are redirected by TPROXY.
const TPROXY: (&str, &str) = ("sidecar.istio.io/interceptionMode", "TPROXY");

/// The first address of the service of two families.
const SERVICE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0x101);

/// Makes their namespace, and those of them that start side by side.
pub(crate) fn prepare(world: &mut World) {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}
    });
    world.kubectl.apply(&namespace.to_string());
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
    world.kubectl.apply(&workload::list(objects).to_string());
}

/// A sidecar that is an init container which goes on.
pub(crate) fn native_sidecar(world: &mut World) {
    let pod = made(world, &native("native-sidecar"));
    assert_stands(world, &pod, &productpage_rules());
    assert_as_wanted(world, &pod);
    assert_served_by_proxy(world, &pod);
}

pub(crate) fn tproxy(world: &mut World) {
    let pod = made(world, &tproxy_pod());
    assert_stands(world, &pod, &rules_with_annotation(TPROXY));
    assert_as_wanted(world, &pod);
    assert_served_by_proxy(world, &pod);
}

fn tproxy_pod() -> Value {
    let mut pod = workload::pod(NAMESPACE, "tproxy");
    pod["metadata"]["annotations"][TPROXY.0] = TPROXY.1.into();
    let proxy = &mut pod["spec"]["containers"][1];
    proxy["args"][1] = "/etc/istio/proxy/envoy-tproxy.yaml".into();
    // A socket that takes connections for any address needs the right, and a file without rights of
    // its own gets it as root alone. The group is still the proxy's.
    proxy["securityContext"] = json!({
        "runAsUser": 0,
        "runAsGroup": 1337,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    });
    pod
}

pub(crate) fn dns_capture(world: &mut World) {
    let pod = made(world, &dns_capture_pod());
    let netns = world.netns(&pod);
    let server = "10.96.0.10".parse().expect("it is an address");
    let answer = Resolver::ask(&netns, Sender::APP, (server, 53));
    assert_eq!(answer.as_deref(), Some(ANSWER));
    assert_as_wanted(world, &pod);
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
        // It lives as long as its input.
        "stdin": true,
        "securityContext": {"runAsUser": 1337, "runAsGroup": 1337},
    }));
    pod
}

/// Each pod has an address of each family, and is reached by both through its proxy. One calls the
/// other by the IPv6 address of a service, through both proxies.
pub(crate) fn dual_stack(world: &mut World) {
    world.kubectl.apply(&service_of_both_families().to_string());
    let [called, calling] = dual_stack_pods().map(|pod| made(world, &pod));
    for pod in [&called, &calling] {
        let found = world.standing_of(pod, Family::V6);
        assert_eq!(found.tables.len(), 1, "{found:?}");
        assert_as_wanted(world, pod);
    }
    world
        .node
        .wait_for_service(SocketAddr::new(SERVICE.into(), 9080));
    for address in addresses(&called) {
        let before = world.counters(&called);
        let page = world.ask_from_node(address, 9080, "/");
        assert_eq!(page, "dual-called v1\n", "{address}");
        let after = world.counters(&called);
        assert_eq!(after, before.plus(1, 0), "{address}");
    }
    for address in addresses(&calling) {
        let before = [&called, &calling].map(|pod| world.counters(pod));
        let page = world.ask_from_node(address, 9080, "/");
        assert_eq!(page, "dual-calling v1\ndual-called v1\n", "{address}");
        let after = [&called, &calling].map(|pod| world.counters(pod));
        assert_eq!(after[0], before[0].plus(1, 0), "{address}");
        assert_eq!(after[1], before[1].plus(1, 1), "{address}");
    }
}

/// One that is called, and one that calls it.
fn dual_stack_pods() -> [Value; 2] {
    let [mut called, mut calling] = ["dual-called", "dual-calling"].map(of_both_families);
    called["metadata"]["labels"] = json!({"app": "dual-called"});
    let address = format!("[{SERVICE}]");
    calling["spec"]["containers"][0] =
        workload::application("dual-calling", "v1", &[address.as_str()]);
    [called, calling]
}

/// A pod that is programmed for both families.
fn of_both_families(name: &str) -> Value {
    let mut pod = workload::pod(NAMESPACE, name);
    pod["spec"]["containers"][1]["env"] = json!([{"name": "ISTIO_DUAL_STACK", "value": "true"}]);
    pod
}

/// A service that has an address of each.
fn service_of_both_families() -> Value {
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

/// A pod's addresses, of which there must be two.
fn addresses(pod: &Value) -> Vec<IpAddr> {
    let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let addresses = addresses.filter_map(|address| address["ip"].as_str()?.parse().ok());
    let addresses: Vec<_> = addresses.collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    addresses
}

/// A job beside a native sidecar asks a service, and ends.
pub(crate) fn job_that_ends(world: &mut World) {
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
    world.kubectl.apply(&job.to_string());
    let complete = format!("job/job --namespace={NAMESPACE} --for=condition=Complete");
    world.kubectl.wait(&complete, MOST);
}

/// Before the proxy runs, only what runs as its user reaches anybody.
pub(crate) fn init_container_with_network(world: &mut World) {
    let pod = made(world, &asking_pod());
    assert_stands(world, &pod, &productpage_rules());
}

fn asking_pod() -> Value {
    let mut pod = workload::pod(NAMESPACE, "init-container");
    let mut asking = workload::application("asks", "v1", &[]);
    asking["args"] = json!(["get", "productpage:9080"]);
    asking["securityContext"]["runAsUser"] = 1337.into();
    pod["spec"]["initContainers"] = json!([asking]);
    pod
}

/// A pod of the node's own network: the node keeps what it had.
pub(crate) fn host_network(world: &mut World) {
    made(world, &host_network_pod());
    let found = standing_in_words(&world.node.enclosure().own_netns());
    assert!(!found.contains("ISTIO"), "{found}");
}

fn host_network_pod() -> Value {
    let mut pod = workload::idle(NAMESPACE, "host-network");
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

pub(crate) fn two_containers_without_proxy(world: &mut World) {
    let pod = made(world, &idle_without_proxy("no-proxy"));
    assert_untouched(world, &pod);
}

pub(crate) fn opted_out(world: &mut World) {
    let pod = made(world, &opted_out_pod());
    assert_untouched(world, &pod);
}

fn opted_out_pod() -> Value {
    let mut pod = workload::idle(NAMESPACE, "opted-out");
    pod["metadata"]["annotations"]["sidecar.istio.io/inject"] = "false".into();
    pod
}

/// The pod of a stateful set comes back under its name as another pod, with rules again.
pub(crate) fn stateful_set(world: &mut World) {
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
    world.kubectl.apply(&set.to_string());
    let name = format!("pod/stateful-0 --namespace={NAMESPACE}");
    world.kubectl.wait(&format!("{name} --for=create"), MOST);
    let first = world.ready(NAMESPACE, "stateful-0");
    world.kubectl.must(&format!("delete --wait {name}"));
    world.kubectl.wait(&format!("{name} --for=create"), MOST);
    let second = world.ready(NAMESPACE, "stateful-0");
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_stands(world, &second, &productpage_rules());
    assert_served_by_proxy(world, &second);
}

/// A hundred pods at once: all start, each with its rules.
pub(crate) fn hundred_pods(world: &mut World) {
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
    world.kubectl.apply(&deployment.to_string());
    let name = format!("deployment/hundred --namespace={NAMESPACE}");
    world.kubectl.rolled_out(&name, MOST);
    let pods = world.pods("app=hundred");
    assert_eq!(pods.len(), 100);
    for pod in &pods {
        assert_stands(world, pod, &productpage_rules());
    }
    // The next stage begins on a node that has nothing else to do.
    world
        .kubectl
        .must(&format!("delete --wait --cascade=foreground {name}"));
}

/// A pod whose sidecar is an init container that goes on.
fn native(name: &str) -> Value {
    let mut pod = workload::pod(NAMESPACE, name);
    let mut sidecar = workload::sidecar();
    sidecar["restartPolicy"] = "Always".into();
    // The containers after it start when it is ready to carry what they send.
    sidecar["startupProbe"] = sidecar["readinessProbe"].clone();
    pod["spec"]["initContainers"] = json!([sidecar]);
    pod["spec"]["containers"] = json!([workload::application(name, "v1", &[])]);
    pod
}

/// A pod of two containers, none of which is a proxy.
fn idle_without_proxy(name: &str) -> Value {
    let mut pod = workload::idle(NAMESPACE, name);
    pod["spec"]["containers"][1]["name"] = "assistant".into();
    pod
}

/// Makes it, and gives it back once it is ready.
fn made(world: &World, pod: &Value) -> Value {
    world.kubectl.apply(&pod.to_string());
    world.ready(NAMESPACE, name_of(pod))
}

fn assert_stands(world: &World, pod: &Value, wanted: &RuleSet) {
    let found = world.standing(pod);
    assert_eq!(drift(wanted, &found, &OWNERSHIP), None, "{}", name_of(pod));
}

fn assert_untouched(world: &World, pod: &Value) {
    let found = standing_in_words(&world.netns(pod));
    assert_eq!(found, "", "{}", name_of(pod));
    assert_as_wanted(world, pod);
}

/// A request from the node is answered by the application, and counted by its proxy.
fn assert_served_by_proxy(world: &World, pod: &Value) {
    let before = world.counters(pod);
    let page = world.ask_from_node(address_of(pod), 9080, "/");
    assert!(page.ends_with(" v1\n"), "{page}");
    assert_eq!(world.counters(pod), before.plus(1, 0), "{}", name_of(pod));
}

/// Everything that `nft` finds in a namespace.
fn standing_in_words(netns: &NetNs) -> String {
    must(netns, "nft list ruleset")
}
