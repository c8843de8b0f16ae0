//! Starting pods: a CNI runtime calls the plugins, and mesh-cni passes the pod's namespace to the agent.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mesh_cni_tests::{Attachment, Finished, cnitool_command, finish};

use super::*;
use crate::broken_pod::create;

/// The port of the application.
const PORT: u16 = 8080;

/// How long one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The node's addresses in the pods' networks.
const GATEWAYS: [&str; 2] = ["10.99.8.1", "fd00:99:8::1"];

/// A pod that a runtime starts.
pub(super) struct StartedPod {
    pub(super) name: &'static str,
    pub(super) sandbox: BrokenPod,
    /// One of each family.
    addresses: Vec<IpAddr>,
}

impl Node {
    /// A pod at the API server, which the kubelet has not started, and its sandbox without a network.
    fn pending(&self, name: &str, label: &str) -> BrokenPod {
        let manifest = manifest(name, label);
        let uid = create(&self.api, &manifest);
        let sandbox = BrokenPod::of(manifest, uid);
        must(&sandbox.netns, "ip link delete eth0");
        sandbox
    }

    /// Starts a pod with the reference plugins and mesh-cni.
    pub(super) fn start_pod(&self, name: &'static str, label: &str) -> StartedPod {
        let sandbox = self.pending(name, label);
        let added = self.cnitool("add", name, &sandbox);
        let log = self.agent.as_ref().unwrap().client().log();
        assert_eq!(added.code, 0, "{}{}{log}", added.stdout, added.stderr);
        let result: Value = added.stdout.parse().unwrap();
        let addresses = result["ips"].as_array().unwrap().iter().map(|ip| {
            let address = ip["address"].as_str().unwrap();
            address.split('/').next().unwrap().parse().unwrap()
        });
        let addresses: Vec<IpAddr> = addresses.collect();
        let listener = sandbox.netns.run(|| {
            // For both families.
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap()
        });
        let listener = listener.unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let from = stream.peer_addr().unwrap().ip().to_canonical();
                // The client may have closed the connection.
                drop(write!(&stream, "{from}"));
            }
        });
        StartedPod {
            name,
            sandbox,
            addresses,
        }
    }

    /// The kubelet reports that the pod runs.
    pub(super) fn report(&self, pod: &StartedPod) {
        let ips: Vec<_> = pod.addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let status = json!({"phase": "Running", "podIP": pod.addresses[0], "podIPs": ips});
        set_status(&self.api, pod.name, &status);
    }

    /// Runs `cnitool` for a list with the reference plugins and mesh-cni.
    fn cnitool(&self, command: &str, name: &str, pod: &BrokenPod) -> Finished {
        let ipam = json!({
            "type": "host-local",
            "dataDir": self.directory.path().join("addresses"),
            "ranges": [[{"subnet": "10.99.8.0/24"}], [{"subnet": "fd00:99:8::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        });
        let bridge = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam});
        let list = json!({
            "cniVersion": "1.0.0",
            "name": "pod-network",
            "plugins": [bridge, self.entry()],
        });
        let lists = self.directory.path().join("net.d");
        fs::create_dir_all(&lists).unwrap();
        fs::write(lists.join("10-pod-network.conflist"), list.to_string()).unwrap();
        let netns = format!("/proc/{}/ns/net", pod.pid());
        let mut command = cnitool_command(self.directory.path(), command, netns.as_ref());
        finish(command.env("CNI_ARGS", cni_args(name)), "")
    }

    /// The plugin's entry in a list on this node.
    fn entry(&self) -> Value {
        let mut entry = self.entry.clone();
        entry["type"] = "mesh-cni".into();
        entry["cni_agent_run_dir"] = json!(self.directory.path().join("run"));
        entry
    }

    /// Calls only mesh-cni, which must fail and leave nothing behind. Returns the error.
    fn refused(&self, name: &str, pod: &BrokenPod) -> Value {
        let mut conf = self.entry();
        conf["cniVersion"] = "1.0.0".into();
        conf["name"] = "pod-network".into();
        conf["prevResult"] = json!({
            "cniVersion": "1.0.0",
            "ips": [{"address": "10.99.7.10/32"}, {"address": "fd00:99:7::10/128"}],
        });
        let netns = format!("/proc/{}/ns/net", pod.pid());
        let mut command = Attachment::command("ADD", netns.as_ref());
        let added = finish(command.env("CNI_ARGS", cni_args(name)), &conf.to_string());
        assert_ne!(added.code, 0, "{}", added.stdout);
        assert!(pod.has_no_rules(), "{}", added.stdout);
        assert_eq!(self.annotation(name), Value::Null, "{}", added.stdout);
        self.eventually("a refused pod is in the set for probes", |_| {
            Self::probed().is_empty()
        });
        added.stdout.parse().unwrap()
    }
}

fn cni_args(name: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}")
}

/// The address from which a connection arrives at the application; `None` if it does not.
fn connect(from: &NetNs, to: IpAddr) -> Option<IpAddr> {
    let connected = from.run(|| {
        let mut stream = TcpStream::connect_timeout(&(to, PORT).into(), CONNECT_TIMEOUT).ok()?;
        stream.set_read_timeout(Some(CONNECT_TIMEOUT)).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.parse().ok()
    });
    connected.unwrap()
}

/// The addresses from which connections of the pod arrive, one of each family.
pub(super) fn connect_pods(from: &StartedPod, to: &StartedPod) -> [Option<IpAddr>; 2] {
    [0, 1].map(|family| connect(&from.sandbox.netns, to.addresses[family]))
}

pub(super) fn own_addresses(pod: &StartedPod) -> [Option<IpAddr>; 2] {
    [0, 1].map(|family| Some(pod.addresses[family]))
}

/// The agent has an empty directory in place of `/proc`, so only the plugin can give it the namespace.
#[test]
fn a_pod_is_served_when_its_add_returns() {
    on_own_node(|node| {
        node.start_ztunnel(false);
        let empty = node.directory.path().join("proc");
        fs::create_dir(&empty).unwrap();
        let proc = empty.to_str().unwrap();
        node.start_agent_with(&["--ambient-enabled", "true", "--proc-dir", proc]);
        let cart = node.start_pod("cart", AMBIENT);
        assert_eq!(node.annotation("cart"), "enabled");
        assert!(!ztunnel_listeners(&cart.sandbox.netns).is_empty());
        assert!(!cart.sandbox.has_no_rules());
        let uid = &cart.sandbox.uid;
        assert_eq!(Node::probed(), [uid.as_str(), uid]);
        for command in ["check", "del"] {
            let called = node.cnitool(command, "cart", &cart.sandbox);
            assert_eq!(called.code, 0, "{}{}", called.stdout, called.stderr);
        }
        // Also before the kubelet reports the addresses, both families are expected.
        let log = node.agent.as_ref().unwrap().client().log();
        assert!(!log.contains("the rules differ"), "{log}");
    });
}

#[test]
fn an_add_that_cannot_be_completed_fails_and_removes_the_rules() {
    on_own_node(|node| {
        let cart = node.pending("cart", AMBIENT);
        must(&cart.netns, "ip link add eth0 type bridge");
        must(&cart.netns, "ip address add 10.99.7.10/32 dev eth0");
        must(&cart.netns, "ip address add fd00:99:7::10/128 dev eth0");
        let socket = node.directory.path().join("run").join(AMBIENT_SOCKET_FILE);
        let refused = |node: &Node, message: &str, remedy: &str| {
            let error = node.refused("cart", &cart);
            assert_eq!(error["code"], 11, "{error}");
            assert!(error["msg"].as_str().unwrap().contains(message), "{error}");
            let details = error["details"].as_str().unwrap();
            assert!(details.contains(remedy), "{error}");
        };
        refused(
            node,
            "the agent does not answer on",
            "check the agent on this node",
        );
        node.start_agent();
        node.eventually("the agent does not listen", |_| socket.exists());
        refused(
            node,
            "ztunnel does not serve the pod: no ztunnel is connected to the agent",
            "check the ztunnel pod of the node and its log",
        );
        let taken = cart
            .netns
            .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 15008)).unwrap());
        node.start_ztunnel(false);
        node.agent
            .as_mut()
            .unwrap()
            .wait_for_log("a ztunnel has connected");
        refused(
            node,
            "ztunnel does not serve the pod: ztunnel: failure to start proxy : ",
            "check that the pod's namespace has a loopback interface that is up",
        );
        fs::remove_file(&socket).unwrap();
        refused(
            node,
            "ztunnel does not serve the pod: the agent cannot be reached",
            "its flag --ambient-enabled must be true",
        );
        must(&cart.netns, "ip link delete eth0");
        drop(taken);
        node.agent = None;
        node.start_agent();
        node.eventually("the agent does not listen", |_| socket.exists());
        let added = node.cnitool("add", "cart", &cart);
        assert_eq!(added.code, 0, "{}{}", added.stdout, added.stderr);
        assert_eq!(node.annotation("cart"), "enabled");
        assert!(!ztunnel_listeners(&cart.netns).is_empty());
    });
}

#[test]
fn started_pods_are_in_the_mesh_as_long_as_their_label_says() {
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x03web\0\x00\x01\x00\x01";
    on_own_node(|node| {
        // Plaintext is refused.
        node.start_ztunnel(true);
        node.start_agent();
        let [cart, web] = ["cart", "web"].map(|name| node.start_pod(name, AMBIENT));
        let other = node.start_pod("other", NONE);
        for pod in [&cart, &web, &other] {
            node.report(pod);
        }
        assert!(other.sandbox.has_no_rules());
        assert_eq!(connect_pods(&cart, &web), own_addresses(&cart));
        assert_eq!(connect_pods(&cart, &other), own_addresses(&cart));
        assert_eq!(connect_pods(&other, &web), [None, None]);
        // A probe comes from the node. As with the kubelet, one that is lost is tried again.
        let probe = |to| connect(&NetNs::current().unwrap(), to).map(|from| from.to_string());
        for (to, from) in web
            .addresses
            .iter()
            .zip(["169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"])
        {
            node.eventually(&format!("no probe passes to {to}"), |_| {
                probe(*to).as_deref() == Some(from)
            });
        }
        // Nothing answers queries on the node.
        let answers = cart.sandbox.netns.run(|| {
            GATEWAYS.map(|server| {
                let server: IpAddr = server.parse().unwrap();
                let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
                socket.set_read_timeout(Some(DEADLINE)).unwrap();
                let to = match server {
                    IpAddr::V4(server) => server.to_ipv6_mapped(),
                    IpAddr::V6(server) => server,
                };
                socket.connect((to, 53)).unwrap();
                socket.send(QUERY).unwrap();
                let mut answer = [0; 64];
                let length = socket.recv(&mut answer).unwrap();
                answer[..length].to_vec()
            })
        });
        for answer in answers.unwrap() {
            assert_eq!(answer[..2], QUERY[..2]);
            assert_eq!(answer[2] & 0x80, 0x80, "a response");
            assert_ne!(answer[3] & 0x0f, 0, "an error");
            assert!(answer[12..].starts_with(&QUERY[12..]), "the same question");
        }
        // The agent is replaced: no connection fails.
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let connections = scope.spawn(|| {
                let mut arrived = Vec::new();
                while !is_done.load(Ordering::Relaxed) {
                    arrived.extend(connect_pods(&cart, &web));
                }
                arrived
            });
            node.agent = None;
            node.start_agent();
            node.agent
                .as_mut()
                .unwrap()
                .wait_for_log("a ztunnel has connected");
            is_done.store(true, Ordering::Relaxed);
            let arrived = connections.join().unwrap();
            assert!(arrived.iter().all(Option::is_some), "{arrived:?}");
        });
        // The label of a running pod decides.
        node.api.must(&format!("label --overwrite pod cart {NONE}"));
        node.wait_until_left(&cart.sandbox, "cart");
        assert_eq!(connect_pods(&cart, &web), [None, None]);
        assert_eq!(connect_pods(&web, &cart), own_addresses(&web));
        node.api
            .must(&format!("label --overwrite pod cart {AMBIENT}"));
        node.wait_until_enrolled(&cart.sandbox, "cart");
        assert_eq!(connect_pods(&cart, &web), own_addresses(&cart));
        assert_eq!(connect_pods(&other, &cart), [None, None]);
    });
}
