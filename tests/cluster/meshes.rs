//! Pods of three meshes on one node: each is redirected to its own proxy, which is Envoy with the mesh's ports
//! and user.

use std::net::IpAddr;

use mesh_cni_tests::{Resolver, Sender};
use serde_json::{Value, json};

use crate::test_cluster::{MOST, Requests, TestCluster, address_of, name_of};
use crate::verify::assert_as_wanted;
use crate::{check, images, mesh, workload};

/// The resolver's answer in Kuma's pods.
const ANSWER: &str = "by the proxy of Kuma";

/// A port that no rule redirects, in neither direction.
const SKIPPED: u16 = 9081;

/// What the pods of a mesh have in common.
struct MeshPods {
    namespace: &'static str,
    proxy: &'static str,
    user: u32,
    /// Each of Envoy's ports in the configuration of Istio's pods, and the port in those of this mesh.
    ports: &'static [(u16, u16)],
    annotations: fn() -> Value,
    /// The annotation by which a pod skips subnets.
    skipped_subnets: &'static str,
    validation: Option<Validation>,
}

/// The init container that fails without the rules.
struct Validation {
    name: &'static str,
    user: u32,
    listen: &'static str,
    connect: &'static str,
    code: &'static str,
}

const ISTIO: MeshPods = MeshPods {
    namespace: "mesh-istio",
    proxy: "istio-proxy",
    user: 1337,
    ports: &[],
    annotations: || {
        json!({
            "sidecar.istio.io/status": "{}",
            "traffic.sidecar.istio.io/excludeInboundPorts": "15020,9081",
            "traffic.sidecar.istio.io/excludeOutboundPorts": "9081",
        })
    },
    skipped_subnets: "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    validation: None,
};

const LINKERD: MeshPods = MeshPods {
    namespace: "mesh-linkerd",
    proxy: "linkerd-proxy",
    user: 2102,
    ports: &[
        (15_001, 4140),
        (15_006, 4143),
        (15_021, 4191),
        (15_090, 4190),
    ],
    annotations: || {
        json!({
            "config.linkerd.io/skip-inbound-ports": "9081",
            "config.linkerd.io/skip-outbound-ports": "9081",
        })
    },
    skipped_subnets: "config.linkerd.io/skip-subnets",
    validation: Some(Validation {
        name: "linkerd-network-validator",
        user: 65_534,
        listen: "0.0.0.0:4140",
        connect: "1.1.1.1:20001",
        code: "95",
    }),
};

const KUMA: MeshPods = MeshPods {
    namespace: "mesh-kuma",
    proxy: "kuma-sidecar",
    user: 5678,
    ports: &[],
    annotations: || {
        json!({
            "kuma.io/sidecar-injected": "true",
            "kuma.io/builtin-dns": "enabled",
            "traffic.kuma.io/exclude-inbound-ports": "9081,15021,15090",
            "traffic.kuma.io/exclude-outbound-ports": "9081",
        })
    },
    skipped_subnets: "traffic.kuma.io/exclude-outbound-ips",
    validation: Some(Validation {
        name: "kuma-validation",
        user: 5678,
        listen: "127.0.0.1:15006",
        connect: "127.0.0.6:25000",
        code: "1",
    }),
};

const MESHES: [MeshPods; 3] = [ISTIO, LINKERD, KUMA];

/// Pods of Linkerd and Kuma fail their validation while only Istio is served. When all are served, the agent
/// repairs them in place, and their validation passes.
pub(crate) fn validations_fail_without_rules(cluster: &mut TestCluster) {
    let namespaces = MESHES.iter().map(|mesh| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": mesh.namespace}})
    });
    cluster
        .kubectl
        .apply(&workload::list(namespaces).to_string());
    let configs = MESHES.iter().map(MeshPods::config);
    cluster.kubectl.apply(&workload::list(configs).to_string());
    let early = [LINKERD, KUMA].map(|mesh| mesh.pod("early", vec![]));
    cluster
        .kubectl
        .apply(&workload::list(early.clone()).to_string());
    for pod in &early {
        let watched = format!("pod early --namespace={}", namespace_of(pod));
        let code = &pod["spec"]["initContainers"][0]["args"][3];
        let code: i64 = code
            .as_str()
            .and_then(|code| code.parse().ok())
            .expect("a number");
        cluster.kubectl.watch_until(&watched, MOST, |pod| {
            exit_code(pod).filter(|found| *found == code)
        });
    }
    mesh::serve_all_meshes(cluster);
    for pod in &early {
        let events = format!(
            "events --namespace={} --field-selector=involvedObject.name=early,reason=Repaired",
            namespace_of(pod)
        );
        cluster.kubectl.watch_until(&events, MOST, |_| Some(()));
    }
}

/// The pods that other stages use. Those of Linkerd and Kuma start when their validation has passed.
pub(crate) fn three_namespaces_are_rolled_out(cluster: &mut TestCluster) {
    let called = MESHES.map(|mesh| mesh.called());
    cluster.kubectl.apply(&workload::list(called).to_string());
    let calling = MESHES.iter().flat_map(|mesh| {
        let called = address_of(&cluster.ready(mesh.namespace, "called"));
        [mesh.calling(called), mesh.skipping(called)]
    });
    cluster.kubectl.apply(&workload::list(calling).to_string());
    for mesh in MESHES {
        for name in ["called", "calling", "skipping"] {
            let pod = cluster.ready(mesh.namespace, name);
            assert_as_wanted(cluster, &pod);
        }
    }
    for mesh in [LINKERD, KUMA] {
        assert_as_wanted(cluster, &cluster.ready(mesh.namespace, "early"));
    }
}

/// Both proxies of a hop count a request; those of the pods count nothing on skipped ports, of skipped subnets, of the
/// proxy's own connections, and over loopback.
pub(crate) fn each_proxy_sees_what_it_should(cluster: &mut TestCluster) {
    for mesh in MESHES {
        let [called, calling] =
            ["called", "calling"].map(|name| cluster.ready(mesh.namespace, name));
        let cases = [
            (9080, "calling\ncalled\n", (1, 1), (1, 0)),
            (SKIPPED, "skips\nplain\n", (0, 0), (0, 0)),
            (9082, "own\ncalled\n", (1, 0), (1, 0)),
            (9083, "loopback\nskips\nplain\n", (1, 0), (0, 0)),
        ];
        for (port, expected, by_calling, by_called) in cases {
            let counters = || [&calling, &called].map(|pod| mesh.counters(cluster, pod));
            let before = counters();
            let page = cluster.ask_from_node(address_of(&calling), port, "/");
            assert_eq!(page, expected, "{} {port}", mesh.namespace);
            let wanted = [
                before[0].plus(by_calling.0, by_calling.1),
                before[1].plus(by_called.0, by_called.1),
            ];
            assert_eq!(counters(), wanted, "{} {port}", mesh.namespace);
        }
    }
    for mesh in MESHES {
        let [called, skipping] =
            ["called", "skipping"].map(|name| cluster.ready(mesh.namespace, name));
        let counters = || [&skipping, &called].map(|pod| mesh.counters(cluster, pod));
        let before = counters();
        let page = cluster.ask_from_node(address_of(&skipping), 9080, "/");
        assert_eq!(page, "skipping\ncalled\n", "{}", mesh.namespace);
        // Linkerd's annotation names sources, those of the others destinations.
        let (inbound, outbound) = if mesh.namespace == LINKERD.namespace {
            (0, 1)
        } else {
            (1, 0)
        };
        let wanted = [before[0].plus(inbound, outbound), before[1].plus(1, 0)];
        assert_eq!(counters(), wanted, "{}", mesh.namespace);
    }
    let netns = cluster.netns(&cluster.ready(KUMA.namespace, "called"));
    let server = "10.96.0.10".parse().expect("it is a valid address");
    let answer = Resolver::ask(&netns, Sender::APP, (server, 53));
    assert_eq!(answer.as_deref(), Some(ANSWER));
    check::works(cluster);
}

/// The rules of both meshes would redirect the same packets.
pub(crate) fn a_pod_with_two_proxies_is_refused(cluster: &mut TestCluster) {
    let mut pod = workload::idle(LINKERD.namespace, "two-proxies");
    pod["spec"]["containers"][0]["name"] = LINKERD.proxy.into();
    cluster.kubectl.apply(&pod.to_string());
    let events = format!(
        "events --namespace={} \
         --field-selector=involvedObject.name=two-proxies,reason=FailedCreatePodSandBox",
        LINKERD.namespace
    );
    let message = cluster.kubectl.watch_until(&events, MOST, |event| {
        event["message"].as_str().map(str::to_owned)
    });
    for part in ["the proxies of several meshes", ISTIO.proxy, LINKERD.proxy] {
        assert!(message.contains(part), "{message}");
    }
}

/// The other stages need the profile of the manifests only.
pub(crate) fn remove(cluster: &mut TestCluster) {
    let names = MESHES.map(|mesh| mesh.namespace).join(" ");
    cluster
        .kubectl
        .must(&format!("delete namespaces {names} --wait=false"));
    mesh::enable(cluster);
}

impl MeshPods {
    /// The configuration of Envoy.
    fn config(&self) -> Value {
        let mut config = workload::envoy_config(self.namespace);
        let text = config["data"]["envoy.yaml"].as_str().expect("it is a text");
        let text = self.ports.iter().fold(text.to_owned(), |text, (from, to)| {
            text.replace(&from.to_string(), &to.to_string())
        });
        config["data"] = json!({"envoy.yaml": text});
        config
    }

    /// The port of this mesh for one of Istio's.
    fn port(&self, of_istio: u16) -> u16 {
        let mut ports = self.ports.iter();
        ports
            .find(|(from, _)| *from == of_istio)
            .map_or(of_istio, |(_, to)| *to)
    }

    fn counters(&self, cluster: &TestCluster, pod: &Value) -> Requests {
        let port = self.port(15_090);
        Requests::read(&cluster.ask_from_node(address_of(pod), port, "/stats?format=json"))
    }

    /// A pod with the mesh's proxy and these containers.
    fn pod(&self, name: &str, containers: Vec<Value>) -> Value {
        let mut pod = workload::pod(self.namespace, name);
        pod["metadata"]["annotations"] = (self.annotations)();
        let mut proxy = workload::sidecar();
        proxy["name"] = self.proxy.into();
        proxy["ports"] = json!([]);
        proxy["readinessProbe"]["httpGet"]["port"] = self.port(15_021).into();
        for field in ["runAsUser", "runAsGroup"] {
            proxy["securityContext"][field] = self.user.into();
        }
        pod["spec"]["containers"] = [vec![proxy], containers].concat().into();
        if let Some(validation) = &self.validation {
            pod["spec"]["initContainers"] = json!([validation.container()]);
        }
        pod
    }

    /// A pod with a port that is redirected and one that is not.
    fn called(&self) -> Value {
        let mut containers = vec![
            service("called", 9080, 1000, &[]),
            service("plain", SKIPPED, 1000, &[]),
        ];
        if self.namespace == KUMA.namespace {
            containers.push(json!({
                "name": "resolver",
                "image": images::PROXY,
                "imagePullPolicy": "Never",
                "command": ["/bin/udp-echo", "127.0.0.1:15053", ANSWER],
                // It runs until its standard input is closed.
                "stdin": true,
                "securityContext": {"runAsUser": self.user, "runAsGroup": self.user},
            }));
        }
        self.pod("called", containers)
    }

    /// A pod whose services call the other one in each way.
    fn calling(&self, called: IpAddr) -> Value {
        let redirected = format!("{called}:9080");
        let skipped = format!("{called}:{SKIPPED}");
        let loopback = format!("127.0.0.1:{SKIPPED}");
        let containers = vec![
            service("calling", 9080, 1000, &[&redirected]),
            service("skips", SKIPPED, 1000, &[&skipped]),
            service("own", 9082, self.user, &[&redirected]),
            service("loopback", 9083, 1000, &[&loopback]),
        ];
        self.pod("calling", containers)
    }

    /// A pod that skips the subnet of the other one, which it calls, and of the node.
    fn skipping(&self, called: IpAddr) -> Value {
        let redirected = format!("{called}:9080");
        let containers = vec![service("skipping", 9080, 1000, &[&redirected])];
        let mut pod = self.pod("skipping", containers);
        pod["metadata"]["annotations"][self.skipped_subnets] = "10.244.0.0/16".into();
        pod
    }
}

impl Validation {
    fn container(&self) -> Value {
        json!({
            "name": self.name,
            "image": images::BOOKINFO,
            "imagePullPolicy": "Never",
            "args": ["validate", self.listen, self.connect, self.code],
            "securityContext": {
                "runAsUser": self.user,
                "runAsGroup": self.user,
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
            },
        })
    }
}

/// A container that answers with its name and the answers of the services that it calls.
fn service(name: &str, port: u16, user: u32, called: &[&str]) -> Value {
    let mut container = workload::application(name, "v1", &[]);
    let words = ["serve".to_owned(), name.to_owned(), port.to_string()];
    let called = called.iter().map(|called| (*called).to_owned());
    container["args"] = words.into_iter().chain(called).collect();
    container["ports"] = json!([]);
    container["securityContext"]["runAsUser"] = user.into();
    container
}

/// The exit code of a pod's first init container, if it ended.
fn exit_code(pod: &Value) -> Option<i64> {
    let status = &pod["status"]["initContainerStatuses"][0];
    [&status["state"], &status["lastState"]]
        .into_iter()
        .find_map(|state| state["terminated"]["exitCode"].as_i64())
}

fn namespace_of(pod: &Value) -> &str {
    let namespace = pod["metadata"]["namespace"].as_str();
    namespace.unwrap_or_else(|| panic!("{} has no namespace", name_of(pod)))
}
