//! Pods in ambient mode: rules, ztunnel, and its protocol, with real connections.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_agent_api::SeqPacket;
use mesh_cni_netfilter::ruleset::{Family, Target};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, apply, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::ambient::{Interception, compile};
use mesh_cni_tests::{
    Arrival, PodNet, Process, Sender, ZtunnelPod, ZtunnelServer, must, start_ztunnel,
};
use mesh_cni_zds::{Ack, Hello, MAX_ACK, Request};

use crate::traffic::xtables;

const PORT: u16 = 8080;
const DEADLINE: Duration = Duration::from_secs(20);
const NETLINK: BackendChoice = BackendChoice::Only(Backend::Netlink);

/// Two pods, connected to each other, and the agent that serves them.
struct Lab {
    net: PodNet,
    server: ZtunnelServer,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("ztunnel.sock");
        let net = PodNet::new();
        net.listen(&[PORT], &[PORT]);
        Self {
            net,
            server: ZtunnelServer::listen(&socket),
            socket,
            _directory: directory,
        }
    }

    /// Both pods have rules, and a ztunnel serves them.
    fn enrolled(is_strict: bool) -> (Self, Process) {
        let mut lab = Self::new();
        let ztunnel = start(&lab.socket, is_strict);
        for (uid, netns) in [("pod", &lab.net.pod), ("peer", &lab.net.peer)] {
            write_rules(netns, Backend::Netlink);
            lab.server.serve(uid, netns);
        }
        lab.server.wait_for_ztunnels(1);
        assert!(lab.server.wait_for_answer("pod") && lab.server.wait_for_answer("peer"));
        (lab, ztunnel)
    }

    /// The peer is a pod without ambient mode.
    fn leave(&mut self) {
        self.server.forget("peer");
        self.server.wait_until_deleted("peer");
        remove(&self.net.peer, &xtables(), NETLINK, Mesh::Istio).unwrap();
    }

    fn connect_out(&self, to: Ipv4Addr) -> Option<Arrival> {
        let (net, to) = (&self.net, (to, PORT));
        net.connect(&net.pod, Sender::APP, to)
    }

    fn connect_in(&self) -> Option<Arrival> {
        let (net, to) = (&self.net, (PodNet::POD, PORT));
        net.connect(&net.peer, Sender::APP, to)
    }
}

/// Starts a ztunnel that knows the pods of the lab.
fn start(socket: &Path, is_strict: bool) -> Process {
    let pods = [("pod", PodNet::POD), ("peer", PodNet::PEER)];
    let pods = pods.map(|(name, address)| ZtunnelPod {
        namespace: "shop",
        name,
        addresses: vec![address.into()],
    });
    start_ztunnel(socket, is_strict, &pods)
}

fn write_rules(netns: &NetNs, backend: Backend) {
    let rules = Family::ALL.map(|family| compile(&Interception::default(), family));
    let choice = BackendChoice::Only(backend);
    apply(netns, &xtables(), choice, Mesh::Istio, &rules).unwrap();
}

/// How many connections the rules redirected to that port.
fn redirected(netns: &NetNs, port: u16) -> u64 {
    let found = read(netns, &xtables(), NETLINK, &[Family::V4]).unwrap();
    let tables = found.rule_sets.iter().flat_map(|rules| &rules.tables);
    let rules = tables
        .flat_map(|table| &table.chains)
        .flat_map(|chain| &chain.rules);
    let to_port =
        rules.filter(|rule| matches!(rule.target, Target::Redirect(to) if to.get() == port));
    to_port.map(|rule| rule.counters.packets).sum()
}

fn arrival(side: &str, to: Ipv4Addr, from: Ipv4Addr) -> Arrival {
    let local = (to, PORT).into();
    Arrival {
        side: side.into(),
        port: PORT,
        original: local,
        local,
        from: from.into(),
    }
}

#[test]
fn pods_talk_through_ztunnel_and_keep_their_addresses() {
    for backend in Backend::ALL {
        let (lab, _ztunnel) = Lab::enrolled(false);
        for netns in [&lab.net.pod, &lab.net.peer] {
            remove(netns, &xtables(), NETLINK, Mesh::Istio).unwrap();
            write_rules(netns, backend);
        }
        let arrived = lab.connect_out(PodNet::PEER);
        assert_eq!(
            arrived,
            Some(arrival("peer", PodNet::PEER, PodNet::POD)),
            "{backend}"
        );
    }
}

#[test]
fn a_connection_between_pods_is_not_plaintext() {
    let (mut lab, ztunnel) = Lab::enrolled(true);
    assert!(
        lab.connect_out(PodNet::PEER).is_some(),
        "{}",
        ztunnel.log_tail()
    );
    assert_eq!(redirected(&lab.net.pod, 15001), 1);
    assert_eq!(redirected(&lab.net.peer, 15006), 0);
    // Plaintext is refused, and so is a pod that has left.
    lab.leave();
    assert_eq!(lab.connect_in(), None);
    assert_eq!(redirected(&lab.net.pod, 15006), 1);
}

#[test]
fn plaintext_of_other_pods_passes_with_its_address() {
    let (mut lab, ztunnel) = Lab::enrolled(false);
    lab.leave();
    let arrived = lab.connect_in();
    assert_eq!(
        arrived,
        Some(arrival("pod", PodNet::POD, PodNet::PEER)),
        "{}",
        ztunnel.log_tail()
    );
    let arrived = lab.connect_out(PodNet::PEER);
    assert_eq!(
        arrived,
        Some(arrival("peer", PodNet::PEER, PodNet::POD)),
        "{}",
        ztunnel.log_tail()
    );
    assert_eq!(redirected(&lab.net.pod, 15006), 1);
    assert_eq!(redirected(&lab.net.pod, 15001), 1);
}

#[test]
fn without_ztunnel_connections_fail_except_to_the_own_pod() {
    let (lab, ztunnel) = Lab::enrolled(false);
    drop(ztunnel);
    assert_eq!(lab.connect_out(PodNet::PEER), None);
    assert_eq!(lab.connect_in(), None);
    let itself = lab.connect_out(PodNet::POD);
    assert_eq!(itself, Some(arrival("pod", PodNet::POD, PodNet::POD)));
}

/// Without the routing, the application's answers leave the pod instead of going to ztunnel.
#[test]
fn the_policy_routing_is_needed() {
    let (mut lab, _ztunnel) = Lab::enrolled(false);
    lab.leave();
    must(&lab.net.pod, "ip rule del pref 32764");
    let answer = || {
        let stream = TcpStream::connect((PodNet::POD, PORT)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        (&stream).read(&mut [0; 8]).ok()
    };
    assert_eq!(lab.net.peer.run(answer).unwrap(), None);
    write_rules(&lab.net.pod, Backend::Netlink);
    assert!(lab.connect_in().is_some());
}

#[test]
fn dns_queries_go_to_ztunnel() {
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x03web\0\x00\x01\x00\x01";
    let (lab, _ztunnel) = Lab::enrolled(false);
    let (by_udp, by_tcp) = lab
        .net
        .pod
        .run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            socket.connect((PodNet::PEER, 53)).unwrap();
            socket.send(QUERY).unwrap();
            let mut by_udp = [0; 64];
            let length = socket.recv(&mut by_udp).unwrap();
            let mut stream = TcpStream::connect((PodNet::PEER, 53)).unwrap();
            let framed = [&[0, QUERY.len().try_into().unwrap()], QUERY].concat();
            stream.write_all(&framed).unwrap();
            let mut by_tcp = Vec::new();
            stream.read_to_end(&mut by_tcp).unwrap();
            (by_udp[..length].to_vec(), by_tcp)
        })
        .unwrap();
    // No server answers queries outside the pod.
    for answer in [&by_udp, &by_tcp[2..]] {
        assert_eq!(answer[..2], QUERY[..2], "the query's number");
        assert_eq!(answer[2] & 0x80, 0x80, "a response");
        assert_ne!(answer[3] & 0x0f, 0, "an error");
        assert!(answer[12..].starts_with(&QUERY[12..]), "the same question");
    }
}

#[test]
fn an_upgrade_of_ztunnel_loses_no_new_connection() {
    let (mut lab, old) = Lab::enrolled(false);
    let _new = start(&lab.socket, false);
    lab.server.wait_for_ztunnels(2);
    assert!(lab.server.wait_for_answer("pod") && lab.server.wait_for_answer("peer"));
    let before = (0..10).filter(|_| lab.connect_out(PodNet::PEER).is_some());
    assert_eq!(before.count(), 10);
    drop(old);
    lab.server.wait_for_ztunnels(1);
    let after = (0..10).filter(|_| lab.connect_out(PodNet::PEER).is_some());
    assert_eq!(after.count(), 10);
}

/// Upstream's agent adds pods to the newest only.
#[test]
fn the_older_ztunnel_serves_pods_that_were_added_to_both() {
    let mut lab = Lab::new();
    let _old = start(&lab.socket, false);
    lab.server.wait_for_ztunnels(1);
    let new = start(&lab.socket, false);
    lab.server.wait_for_ztunnels(2);
    for (uid, netns) in [("pod", &lab.net.pod), ("peer", &lab.net.peer)] {
        write_rules(netns, Backend::Netlink);
        lab.server.serve(uid, netns);
        assert!(lab.server.wait_for_answer(uid));
    }
    drop(new);
    lab.server.wait_for_ztunnels(1);
    assert!(lab.server.wait_for_answer("pod") && lab.server.wait_for_answer("peer"));
    assert!(lab.connect_out(PodNet::PEER).is_some());
}

#[test]
fn a_pod_in_which_ztunnel_cannot_listen_is_refused_and_others_are_served() {
    let mut lab = Lab::new();
    let _ztunnel = start(&lab.socket, false);
    // Its loopback interface is down, so `[::1]:15053` cannot be bound.
    let broken = NetNs::scratch().unwrap();
    lab.server.serve("broken", &broken);
    lab.server.serve("pod", &lab.net.pod);
    lab.server.wait_for_ztunnels(1);
    assert!(!lab.server.wait_for_answer("broken"));
    assert!(lab.server.wait_for_answer("pod"));
    let refusal = &lab.server.refusals()[0];
    assert!(
        refusal.starts_with("broken: failure to start proxy : "),
        "{refusal}"
    );
    must(&broken, "ip link set lo up");
    lab.server.serve("broken", &broken);
    assert!(lab.server.wait_for_answer("broken"));
    lab.server.forget("broken");
    lab.server.wait_until_deleted("broken");
}

/// ztunnel's side of a conversation, without the state machine.
struct Raw {
    listener: SeqPacket,
    connection: SeqPacket,
    ztunnel: Process,
    _directory: tempfile::TempDir,
}

impl Raw {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ztunnel.sock");
        let listener = SeqPacket::listen(&path).unwrap();
        listener.set_timeout(DEADLINE).unwrap();
        let ztunnel = start(&path, false);
        let connection = accept(&listener);
        Self {
            listener,
            connection,
            ztunnel,
            _directory: directory,
        }
    }

    /// The answer to a message.
    fn ask(&self, bytes: &[u8], netns: Option<&NetNs>) -> Result<(), String> {
        let file = netns.map(|netns| fs::File::open(netns.path()).unwrap());
        let descriptors: Vec<_> = file.iter().map(AsFd::as_fd).collect();
        self.connection.send(bytes, &descriptors).unwrap();
        let answer = self.connection.receive(MAX_ACK).unwrap().unwrap();
        Ack::decode(&answer.bytes).unwrap().0
    }
}

fn accept(listener: &SeqPacket) -> SeqPacket {
    let connection = listener.accept().unwrap();
    connection.set_timeout(DEADLINE).unwrap();
    let hello = connection.receive(MAX_ACK).unwrap().unwrap();
    assert_eq!(Hello::decode(&hello.bytes), Ok(Hello));
    connection
}

#[test]
fn what_ztunnel_cannot_read_ends_the_connection() {
    let netns = NetNs::scratch().unwrap();
    let add = b"\x0a\x0a\x0a\x01u\x12\x05\x0a\x01n\x12\x00";
    let long = [b"\x2a\x81\x08\x0a\xfe\x07".as_slice(), &[b'u'; 1022]].concat();
    let cases: [(&[u8], Option<&NetNs>); 4] = [
        (add, None),
        (b"\x1a\x00", Some(&netns)),
        (b"\xff", None),
        (&long, None),
    ];
    for (bytes, descriptor) in cases {
        let raw = Raw::start();
        let error = raw.ask(bytes, descriptor).unwrap_err();
        assert!(error.starts_with("failure to read message : "), "{error}");
        assert!(error.len() > 4000, "with a stack trace");
        assert!(raw.connection.receive(MAX_ACK).unwrap().is_none());
        accept(&raw.listener);
    }
}

#[test]
fn what_violates_the_protocol_ends_ztunnel() {
    let snapshot = Request::SnapshotSent.encode();
    let keep = Request::Keep { uid: "u".into() }.encode();
    let netns = NetNs::scratch().unwrap();
    let without_workload = b"\x0a\x03\x0a\x01u".as_slice();
    let cases: [(&[u8], Option<&NetNs>); 3] = [
        (&snapshot, None),
        (&keep, None),
        (without_workload, Some(&netns)),
    ];
    for (bytes, descriptor) in cases {
        let mut raw = Raw::start();
        assert_eq!(raw.ask(&snapshot, None), Ok(()));
        let error = raw.ask(bytes, descriptor).unwrap_err();
        assert!(
            error.starts_with("failure to process message : "),
            "{error}"
        );
        assert!(!raw.ztunnel.wait_for_exit(DEADLINE).success());
    }
}
