//! The cluster of one node that the stages use.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_tests::{Kubectl, Node, NodeRuntime, cluster_binary, crictl};
use serde_json::{Value, json};

/// How long a stage waits for a rollout.
pub(crate) const MOST: Duration = Duration::from_secs(600);

/// The node's address.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The cluster.
pub(crate) struct TestCluster {
    pub(crate) node: Node,
    pub(crate) kubectl: Kubectl,
}

/// The numbers of requests that a sidecar received for its pod and sent for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) came: u64,
    pub(crate) left: u64,
}

impl Requests {
    /// Reads them from Envoy's statistics.
    pub(crate) fn read(stats: &str) -> Self {
        let stats: Value = serde_json::from_str(stats).expect("Envoy prints JSON");
        let count = |name: &str| {
            let mut stats = stats["stats"].as_array().into_iter().flatten();
            let stat = stats.find(|stat| stat["name"] == name);
            stat.and_then(|stat| stat["value"].as_u64()).unwrap_or(0)
        };
        Self {
            came: count("cluster.inbound.upstream_rq_2xx"),
            left: count("cluster.outbound.upstream_rq_2xx"),
        }
    }

    /// The sum.
    pub(crate) fn plus(self, came: u64, left: u64) -> Self {
        Self {
            came: self.came + came,
            left: self.left + left,
        }
    }
}

impl TestCluster {
    /// Starts a node with a main plugin and without mesh-cni.
    pub(crate) fn start(runtime: NodeRuntime) -> Self {
        let ipam = json!({
            "type": "host-local",
            "ranges": [[{"subnet": "10.244.0.0/16"}], [{"subnet": "fd00:244::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        });
        let list = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "plugins": [
                {"type": "ptp", "ipam": ipam},
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        let node = Node::start(runtime, &list.to_string());
        let kubectl = node.kubectl();
        Self { node, kubectl }
    }

    /// Stops all processes of the node and boots it again.
    pub(crate) fn reboot(&mut self) {
        self.node.reboot();
        self.kubectl = self.node.kubectl();
    }

    /// Waits until every service of the sample reaches a pod.
    pub(crate) fn wait_for_services(&mut self) {
        let services = self.kubectl.get("services --namespace=default");
        for service in services["items"].as_array().into_iter().flatten() {
            let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
            let address: IpAddr = address.parse().expect("the sample's services have one");
            let port = service["spec"]["ports"][0]["port"].as_u64();
            let port = port.and_then(|port| u16::try_from(port).ok());
            let port = port.expect("a service has a port");
            self.node.wait_for_service(SocketAddr::new(address, port));
        }
    }

    /// Sends an HTTP request from outside the node and returns the body. The status must be 200.
    pub(crate) fn ask_from_outside(&self, address: impl Into<IpAddr> + Send, port: u16) -> String {
        ask(
            &self.node.isolated_host().netns("outside"),
            address,
            port,
            "/",
        )
    }

    /// Sends an HTTP request from the node itself.
    pub(crate) fn ask_from_node(
        &self,
        address: impl Into<IpAddr> + Send,
        port: u16,
        path: &str,
    ) -> String {
        ask(&self.node.isolated_host().own_netns(), address, port, path)
    }

    /// The pods with that label.
    pub(crate) fn pods(&self, selector: &str) -> Vec<Value> {
        let found = self
            .kubectl
            .get(&format!("pods --all-namespaces --selector={selector}"));
        found["items"].as_array().cloned().unwrap_or_default()
    }

    /// The pod, once it is ready.
    pub(crate) fn ready(&self, namespace: &str, name: &str) -> Value {
        let pod = format!("pod/{name} --namespace={namespace}");
        self.kubectl
            .wait(&format!("{pod} --for=condition=Ready"), MOST);
        self.kubectl.get(&pod)
    }

    /// The counters of a pod's sidecar.
    pub(crate) fn counters(&self, pod: &Value) -> Requests {
        Requests::read(&self.ask_from_node(address_of(pod), 15090, "/stats?format=json"))
    }

    /// The live IPv4 rules of a pod, found through the process of its container, as documented.
    pub(crate) fn live_rules(&self, pod: &Value) -> RuleSet {
        self.live_rules_of(pod, Family::V4)
    }

    /// The live rules of one family.
    pub(crate) fn live_rules_of(&self, pod: &Value, family: Family) -> RuleSet {
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let netns = self.netns(pod);
        let found = read(&netns, &xtables, BackendChoice::Auto, &[family]);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", name_of(pod)));
        found
            .rule_sets
            .into_iter()
            .next()
            .expect("one family was asked for")
    }

    /// A pod's network namespace.
    pub(crate) fn netns(&self, pod: &Value) -> NetNs {
        let pid = self.pid(pod, &pod["status"]["containerStatuses"][0]["name"]);
        let path = self
            .node
            .isolated_host()
            .path(&format!("/proc/{pid}/ns/net"));
        NetNs::open(&path).unwrap_or_else(|error| panic!("{}: {error}", name_of(pod)))
    }

    /// The process ID of a pod's container, as seen on this machine.
    pub(crate) fn pid(&self, pod: &Value, container: &Value) -> u64 {
        let statuses = pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten();
        let mut ids = statuses.filter(|status| status["name"] == *container);
        let id = ids.next().and_then(|status| status["containerID"].as_str());
        // For example, `containerd://` and the ID.
        let (_runtime, id) = id
            .and_then(|id| id.split_once("://"))
            .unwrap_or_else(|| panic!("no container {container} in {pod:#}"));
        let inspected = crictl(
            self.node.isolated_host(),
            &["inspect", "--output", "json", id],
        );
        let inspected: Value = serde_json::from_str(&inspected.stdout).expect("crictl prints JSON");
        inspected["info"]["pid"]
            .as_u64()
            .expect("the container runs")
    }

    /// The command that opens a shell on the node.
    pub(crate) fn shell(&self) -> String {
        let path = self.node.isolated_host().path("");
        let pid = path.components().nth(2).expect("it is below /proc");
        let kubeconfig = self.node.directory().join("admin.kubeconfig");
        format!(
            "nsenter --target {} --mount --net --pid --ipc --uts --cgroup env KUBECONFIG={} PATH={}:$PATH bash",
            pid.as_os_str().display(),
            kubeconfig.display(),
            cluster_binary("").display(),
        )
    }

    /// Prints diagnostics after a failed stage.
    pub(crate) fn report(&self) -> String {
        report(&self.kubectl)
    }
}

/// The cluster's state, for diagnostics after a failed stage.
pub(crate) fn report(kubectl: &Kubectl) -> String {
    let mut report = String::new();
    for words in [
        "get pods --all-namespaces --output=wide",
        "get events --all-namespaces --sort-by=.lastTimestamp",
        "logs daemonset/mesh-cni-agent --namespace=kube-system --tail=50",
    ] {
        let finished = kubectl.run(words.split(' '), "");
        report += &[
            "$ kubectl ",
            words,
            "\n",
            &finished.stdout,
            &finished.stderr,
        ]
        .concat();
    }
    report
}

/// A pod's name.
pub(crate) fn name_of(pod: &Value) -> &str {
    pod["metadata"]["name"]
        .as_str()
        .unwrap_or("a pod without a name")
}

/// A pod's address.
pub(crate) fn address_of(pod: &Value) -> IpAddr {
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    address
        .parse()
        .unwrap_or_else(|_| panic!("{} has no address", name_of(pod)))
}

fn ask(netns: &NetNs, address: impl Into<IpAddr> + Send, port: u16, path: &str) -> String {
    let address = SocketAddr::new(address.into(), port);
    let answer = netns.run(|| exchange(address, path));
    let answer = answer.expect("the namespace can be entered");
    let answer = answer.unwrap_or_else(|error| panic!("http://{address}{path}: {error}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    assert!(
        head.starts_with("HTTP/1.1 200"),
        "http://{address}{path}: {answer}"
    );
    if head.contains("chunked") {
        joined(body)
    } else {
        body.to_owned()
    }
}

fn exchange(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(60))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Joins HTTP chunks: each is its length in hexadecimal digits, followed by that many bytes.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk begins with its length");
        body += &rest[..length];
        chunks = rest[length..].trim_start();
    }
    body
}
