//! The packet simulation against the kernel: where packets arrive, and what the rules count.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender as Reports};
use std::thread;
use std::time::Duration;

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{BuiltinChain, Counters, Family, RuleSet, TableName};
use mesh_cni_netfilter::value::{Gid, Uid};
use mesh_cni_netfilter::walk::{
    Location, NetnsAddresses, Outcome, PolicyCounters, Step, replay, walk_in,
};
use mesh_cni_netfilter::{Listing, Packet, parse, render};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, apply, read};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::interception::Mode;
use mesh_cni_rules::istio::{
    Dialect, Interception, OWNERSHIP, PORT_NAMES, PodSettings, TPROXY_ROUTING, compile,
};
use mesh_cni_tests::{Arrival, PodNet, Resolver, Sender, must, rules_with_proxy_env, run};

use crate::traffic::{Connection, ON_PEER, ON_POD, connections, xtables};

/// The source port of simulated packets; for real ones the kernel chooses another.
const ANY_PORT: u16 = 32768;

/// The length of a [`Resolver`]'s query with its IPv4 and UDP headers.
const QUERY: u64 = 20 + 8 + 6;

pub(crate) fn host() -> NetnsAddresses {
    NetnsAddresses::pod(&[IpAddr::from(PodNet::POD)])
}

/// `nf_tables` does not count policies of chains that were created with their first rule.
fn policies(backend: Backend) -> PolicyCounters {
    match backend {
        Backend::IptablesLegacy => PolicyCounters::On,
        _ => PolicyCounters::Off,
    }
}

fn settings() -> Interception {
    let key = |name: &str| format!("traffic.sidecar.istio.io/{name}");
    let annotations = [
        (key("excludeInboundPorts"), "22,15020".to_owned()),
        (key("excludeOutboundPorts"), "15020".to_owned()),
        (key("excludeOutboundIPRanges"), "192.168.0.1/32".to_owned()),
    ]
    .into();
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    settings.resolve().unwrap().interception
}

fn found(net: &PodNet, backend: Backend) -> RuleSet {
    let choice = BackendChoice::Only(backend);
    let found = read(&net.pod, &xtables(), choice, &[Family::V4]).unwrap();
    found.rule_sets.into_iter().next().unwrap()
}

fn nat(rules: &RuleSet) -> String {
    Listing::of(rules, TableName::Nat, &OWNERSHIP).print(Layout::Folded)
}

/// The first packet of a connection, for the simulation.
pub(crate) fn first_packet(connection: &Connection) -> Packet {
    let to = SocketAddr::from(connection.to);
    if connection.from_pod {
        let Sender { user, group } = connection.sender;
        Packet::tcp_out(to).sent_by(Uid(user), Gid(group))
    } else {
        Packet::tcp_in((PodNet::PEER, ANY_PORT).into(), to)
    }
}

/// The part of an arrival that an outcome predicts: side, port, original destination, and with TPROXY
/// the source.
type Told = (&'static str, u16, SocketAddr, Option<IpAddr>);

fn foretold(fate: &Outcome) -> Option<Told> {
    match fate {
        Outcome::Redirected { port, original, .. } => Some(("pod", port.get(), *original, None)),
        Outcome::Tproxied {
            port,
            source,
            original,
            ..
        } => Some(("pod", port.get(), *original, Some(source.ip()))),
        Outcome::NotRedirected { to, location } => {
            let side = match location {
                Location::Local => "pod",
                Location::Remote(_) => "peer",
            };
            Some((side, to.port(), *to, None))
        }
        no_arrival => {
            let dropped = matches!(no_arrival, Outcome::Dropped { .. });
            assert!(dropped, "the simulation cannot decide: {no_arrival:?}");
            None
        }
    }
}

pub(crate) fn assert_arrived(arrival: Option<&Arrival>, fate: &Outcome, what: &str) {
    let real = arrival.map(|arrival| (arrival.side.as_str(), arrival.port, arrival.original));
    let told = foretold(fate);
    let told_end = told.map(|(side, port, original, _)| (side, port, original));
    assert_eq!(real, told_end, "{what}: {fate:?}");
    if let Some((_, _, destination, Some(source))) = told {
        let arrival = arrival.unwrap();
        assert_eq!(
            (arrival.local, arrival.from),
            (destination, source),
            "{what}"
        );
    }
}

fn assert_connections(interception: &Interception, dialect: Dialect, backend: Backend) {
    let net = PodNet::new();
    let mut listening = ON_POD.to_vec();
    if let Mode::Tproxy(_) = interception.mode {
        listening.retain(|port| *port != 15006);
        net.listen_transparently(15006);
    }
    net.listen(&listening, &ON_PEER);
    let mut replayed = compile(interception, dialect, Family::V4);
    let choice = BackendChoice::Only(backend);
    apply(
        &net.pod,
        &xtables(),
        choice,
        Mesh::Istio,
        &[replayed.clone()],
    )
    .unwrap();
    for connection in connections() {
        let packet = first_packet(&connection);
        let walk = replay(&mut replayed, &packet, &host(), policies(backend));
        let from = if connection.from_pod {
            &net.pod
        } else {
            &net.peer
        };
        let arrival = net.connect(from, connection.sender, connection.to);
        let what = format!(
            "{backend}, {dialect}: {}\n{}",
            connection.story,
            walk.display(PORT_NAMES)
        );
        assert_arrived(arrival.as_ref(), &walk.outcome, &what);
    }
    assert_eq!(
        nat(&found(&net, backend)),
        nat(&replayed),
        "{backend}, {dialect}"
    );
}

#[test]
fn connections_arrive_and_count_as_simulated() {
    for backend in Backend::ALL {
        for dialect in [Dialect::Asm, Dialect::Istio] {
            assert_connections(&settings(), dialect, backend);
        }
    }
}

#[test]
fn under_tproxy_too() {
    let mut interception = settings();
    interception.mode = "TPROXY".parse::<Mode>().unwrap();
    for backend in Backend::ALL {
        for dialect in [Dialect::Asm, Dialect::Istio] {
            assert_connections(&interception, dialect, backend);
        }
    }
}

#[test]
fn queries_arrive_as_simulated() {
    for backend in Backend::ALL {
        let net = PodNet::new();
        let (of_proxy, of_server) = ((Ipv4Addr::LOCALHOST, 15053), (PodNet::PEER, 53));
        let _proxy = Resolver::start(&net.pod, Sender::PROXY, of_proxy, "pod");
        let _server = Resolver::start(&net.peer, Sender::ROOT, of_server, "peer");
        let rules = rules_with_proxy_env(&[("ISTIO_META_DNS_CAPTURE", "true")]);
        let choice = BackendChoice::Only(backend);
        apply(
            &net.pod,
            &xtables(),
            choice,
            Mesh::Istio,
            std::slice::from_ref(&rules),
        )
        .unwrap();
        let mut replayed = rules;
        for (sender, server) in [
            (Sender::APP, PodNet::PEER),
            (Sender::APP, PodNet::EXCLUDED),
            (Sender::PROXY, PodNet::PEER),
            (Sender::PROXY_GROUP, PodNet::PEER),
        ] {
            let query = Packet::udp_out((server, 53).into());
            let mut query = query.sent_by(Uid(sender.user), Gid(sender.group));
            query.bytes = QUERY;
            let walk = replay(&mut replayed, &query, &host(), policies(backend));
            let answered = Resolver::ask(&net.pod, sender, (server, 53));
            let side = foretold(&walk.outcome).map(|told| told.0);
            assert_eq!(
                answered.as_deref(),
                side,
                "{backend}:\n{}",
                walk.display(PORT_NAMES)
            );
        }
        assert_eq!(nat(&found(&net, backend)), nat(&replayed), "{backend}");
    }
}

/// Rules of every kind in every table, and datagrams that nothing answers: a rule counts one packet
/// for each datagram that it matches in each pass.
const MECHANICS: &str = "*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -i lo -p udp -m conntrack --ctstate NEW
-A PREROUTING -i lo -p udp -j CT --zone 3
-A PREROUTING -p udp -m conntrack --ctstate INVALID
-A OUTPUT -p udp -m conntrack --ctstate INVALID
-A OUTPUT -p udp -m connmark ! --mark 0x9
-A OUTPUT -p udp -j CT --zone 1
-A OUTPUT -p udp -j CT --zone 2
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:MARKS - [0:0]
-A PREROUTING -i lo -p udp -m mark --mark 0x6
-A PREROUTING -i lo -p udp -m connmark --mark 0x6
-A PREROUTING -p udp -m udp --dport 70 -j DROP
-A INPUT -i lo -p udp -m conntrack --ctstate NEW
-A OUTPUT -p udp -m udp --dport 98 -j MARKS
-A OUTPUT -p udp -m udp --dport 99 -j MARK --set-xmark 0x539/0xffffffff
-A OUTPUT -p udp -m connmark --mark 0x6
-A POSTROUTING -o lo -p udp -m owner --uid-owner 0
-A POSTROUTING -p udp -m owner ! --gid-owner 0
-A MARKS -j MARK --set-xmark 0x6/0x3
-A MARKS -m mark --mark 0x2/0x3 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff
-A MARKS -p udp -j RETURN
-A MARKS -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:TO_PROXY - [0:0]
-A PREROUTING -p udp
-A PREROUTING -p udp -m udp --dport 15001 -j REDIRECT --to-ports 15006
-A INPUT -p udp
-A OUTPUT -o eth0 -p udp -m udp --dport 99
-A OUTPUT -p udp -m multiport --dports 80,81 -j TO_PROXY
-A OUTPUT -p udp
-A POSTROUTING -o lo -p udp
-A POSTROUTING ! -o lo -p udp
-A TO_PROXY -p udp -m udp --dport 81 -m owner --uid-owner 1000 -j RETURN
-A TO_PROXY -p udp -j REDIRECT --to-ports 15001
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -p udp -m udp --dport 15001
-A INPUT -p udp -m udp --dport 71 -j DROP
-A OUTPUT -o eth0 -p udp -m udp --dport 15001
-A OUTPUT -o lo -p udp -m udp --dport 15001
-A OUTPUT -o eth+ -p udp -m udp --dport 72 -j DROP
COMMIT
";

/// Counts outgoing datagrams by zone, for which iptables has no match.
const ZONES: &str = "table ip zones {
    chain leave {
        type filter hook postrouting priority 300;
        meta l4proto udp ct zone 0 counter
        meta l4proto udp ct zone 1 counter
        meta l4proto udp ct zone 2 counter
        meta l4proto udp ct zone 3 counter
    }
}
";

/// One byte after an IPv4 and a UDP header.
const DATAGRAM: u64 = 20 + 8 + 1;

/// Datagrams for each of these rules: source, sender, destination.
const DATAGRAMS: [(&str, Sender, &str); 16] = [
    ("pod", Sender::ROOT, "10.99.0.3:80"),
    ("pod", Sender::APP, "10.99.0.3:80"),
    ("pod", Sender::ROOT, "10.99.0.3:81"),
    ("pod", Sender::APP, "10.99.0.3:81"),
    ("pod", Sender::ROOT, "127.0.0.1:15001"),
    ("pod", Sender::ROOT, "10.99.0.2:9080"),
    ("pod", Sender::APP, "10.99.0.2:98"),
    ("pod", Sender::ROOT, "10.99.0.3:98"),
    ("pod", Sender::ROOT, "10.99.0.77:99"),
    ("pod", Sender::ROOT, "10.99.0.2:70"),
    ("pod", Sender::ROOT, "127.0.0.1:71"),
    ("pod", Sender::ROOT, "10.99.0.3:72"),
    ("peer", Sender::ROOT, "10.99.0.2:15001"),
    ("peer", Sender::APP, "10.99.0.2:9080"),
    ("peer", Sender::ROOT, "10.99.0.2:71"),
    ("peer", Sender::ROOT, "10.99.0.2:70"),
];

/// Receivers of datagrams: each socket reports its side and port.
struct Sockets {
    arrivals: Receiver<(&'static str, u16)>,
}

impl Sockets {
    fn open(net: &PodNet) -> Self {
        let (reports, arrivals) = mpsc::channel();
        for (netns, side) in [(&net.pod, "pod"), (&net.peer, "peer")] {
            for port in [80, 81, 98, 99, 9080, 15001, 15006] {
                receive(netns, side, port, reports.clone());
            }
        }
        Self { arrivals }
    }

    fn next(&self) -> Option<(&'static str, u16)> {
        self.arrivals.recv_timeout(Duration::from_secs(10)).ok()
    }
}

fn receive(netns: &NetNs, side: &'static str, port: u16, reports: Reports<(&'static str, u16)>) {
    let bound = netns.run(|| UdpSocket::bind(("0.0.0.0", port)));
    let socket = bound.unwrap().unwrap();
    thread::spawn(
        move || {
            while socket.recv(&mut [0; 64]).is_ok() && reports.send((side, port)).is_ok() {}
        },
    );
}

fn send(from: &NetNs, sender: Sender, to: SocketAddr) {
    let script = "exec 3<>\"/dev/udp/$0/$1\"; printf x >&3";
    let mut command = Command::new("bash");
    command
        .args(["-c", script, &to.ip().to_string(), &to.port().to_string()])
        .uid(sender.user)
        .gid(sender.group);
    run(from, &mut command, "");
}

/// Each rule's counters with its place. The order of chains depends on the back end.
fn counters(rules: &RuleSet) -> Vec<(String, Counters)> {
    let chains = rules.tables.iter().flat_map(|table| {
        let chains = table.chains.iter();
        chains.map(move |chain| (table.name, chain))
    });
    let rules = chains.flat_map(|(table, chain)| {
        let numbered = chain.rules.iter().zip(1..);
        numbered.map(move |(rule, number)| {
            let spec = render::rule_spec(rule);
            (
                format!("{table} {} {number} {spec}", chain.name),
                rule.counters,
            )
        })
    });
    let mut counters: Vec<_> = rules.collect();
    counters.sort_by(|(one, _), (other, _)| one.cmp(other));
    counters
}

/// Applies foreign rules: the host's programs read them as text, the other back ends as rule sets.
fn make_stand(netns: &NetNs, backend: Backend, rules: &RuleSet) {
    match backend {
        Backend::IptablesNft | Backend::IptablesLegacy => {
            let restore = format!("{backend}-restore");
            let restored = run(netns, &mut Command::new(restore), MECHANICS);
            assert_eq!(restored.code, 0, "{}", restored.stderr);
        }
        _ => {
            let rules = std::slice::from_ref(rules);
            apply(
                netns,
                &xtables(),
                BackendChoice::Only(backend),
                Mesh::Istio,
                rules,
            )
            .unwrap();
        }
    }
}

#[test]
fn every_mechanism_counts_in_the_kernel_as_simulated() {
    for backend in Backend::ALL {
        let net = PodNet::new();
        must(&net.pod, "ip rule add fwmark 1337 lookup 133");
        must(&net.pod, "ip route add local default dev lo table 133");
        let mut replayed = parse::save(MECHANICS, Family::V4).unwrap();
        make_stand(&net.pod, backend, &replayed);
        replayed.routing = Some(TPROXY_ROUTING);

        let zones = run(&net.pod, Command::new("nft").args(["-f", "-"]), ZONES);
        assert_eq!(zones.code, 0, "{}", zones.stderr);

        let sockets = Sockets::open(&net);
        let mut leaving = Vec::new();
        for (origin, sender, to) in DATAGRAMS {
            let to: SocketAddr = to.parse().unwrap();
            let (from, mut packet) = match origin {
                "pod" => {
                    let packet = Packet::udp_out(to);
                    (
                        &net.pod,
                        packet.sent_by(Uid(sender.user), Gid(sender.group)),
                    )
                }
                _ => (
                    &net.peer,
                    Packet::udp_in((PodNet::PEER, ANY_PORT).into(), to),
                ),
            };
            packet.bytes = DATAGRAM;
            let walk = walk_in(&replayed, &packet, &host());
            walk.count(&mut replayed, 1, PolicyCounters::On);
            send(from, sender, to);
            if walk.steps.iter().any(is_leaving) {
                leaving.push(walk.zone);
            }
            if let Some((side, port, ..)) = foretold(&walk.outcome) {
                assert_eq!(
                    sockets.next(),
                    Some((side, port)),
                    "{backend}:\n{}",
                    walk.display(PORT_NAMES)
                );
            }
        }
        assert_eq!(
            counters(&found(&net, backend)),
            counters(&replayed),
            "{backend}"
        );
        assert_zones(&net, &leaving);
    }
}

/// Whether the packet reached `POSTROUTING`.
fn is_leaving(step: &Step) -> bool {
    step.table.builtin(&step.chain) == Some(BuiltinChain::Postrouting)
}

/// The kernel counted as many outgoing datagrams in each zone as the simulation.
fn assert_zones(net: &PodNet, leaving: &[u16]) {
    let counted = must(&net.pod, "nft list table ip zones");
    for zone in 0..4 {
        let count = leaving.iter().filter(|left| **left == zone).count();
        let expected = format!("ct zone {zone} counter packets {count} ");
        assert!(counted.contains(&expected), "not {expected}: {counted}");
    }
}
