//! Rules that refuse IPv6, with real connections between two namespaces and every back end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_netfilter::drift_all;
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netns::{Backend, Change, NetNs, apply, ipv6_addresses, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_rules::reject_ipv6;

use crate::support::{must, only, productpage, rules, saved, scratch, xtables};

/// The port of the application in both namespaces, and that of the pod's proxy.
const APP: u16 = 8080;
const PROXY: u16 = 15006;

/// Long enough for a packet that is dropped to be noticed as such.
const DEADLINE: Duration = Duration::from_secs(5);

/// A pod and a peer, connected, with servers that return what they receive.
struct Net {
    pod: NetNs,
    peer: NetNs,
}

impl Net {
    fn new() -> Self {
        let net = Self {
            pod: scratch(),
            peer: scratch(),
        };
        let peer = net.peer.path().display().to_string();
        let link = format!("link add eth0 type veth peer name eth0 netns {peer}");
        ip(&net.pod, &link);
        for (netns, host) in [(&net.pod, 1), (&net.peer, 2)] {
            ip(netns, "link set lo up");
            // The kernel's own link-local address is not usable before duplicate address detection.
            ip(netns, "link set eth0 addrgenmode none");
            ip(netns, "link set eth0 up");
            ip(netns, &format!("address add 10.0.0.{host}/24 dev eth0"));
            add_address(netns, &format!("fd00::{host}"));
            add_address(netns, &format!("fe80::{host}"));
            serve(netns, APP);
        }
        serve(&net.pod, PROXY);
        net
    }

    /// The link-local address of that host, for a socket in this namespace.
    fn link_local(netns: &NetNs, host: u8) -> String {
        let link = must(netns, "ip", &["-o", "link", "show", "dev", "eth0"], "");
        let (index, _) = link.split_once(':').unwrap();
        format!("[fe80::{host}%{index}]:{APP}")
    }
}

fn ip(netns: &NetNs, arguments: &str) {
    must(netns, "ip", &arguments.split(' ').collect::<Vec<_>>(), "");
}

fn add_address(netns: &NetNs, address: &str) {
    ip(netns, &format!("address add {address}/64 dev eth0 nodad"));
}

/// Returns what it receives over TCP and UDP, on the addresses of both families.
fn serve(netns: &NetNs, port: u16) {
    let bind = || {
        (
            TcpListener::bind(("::", port)),
            UdpSocket::bind(("::", port)),
        )
    };
    let (tcp, udp) = netns.run(bind).unwrap();
    let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((length, from)) = udp.recv_from(&mut bytes) {
            drop(udp.send_to(&bytes[..length], from));
        }
    });
}

fn connect(from: &NetNs, to: &str) -> io::Result<TcpStream> {
    let to: SocketAddr = to.parse().unwrap();
    let stream = from
        .run(|| TcpStream::connect_timeout(&to, DEADLINE))
        .unwrap()?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Sends a byte and waits until the server returned it.
fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

fn tcp(from: &NetNs, to: &str) -> Result<(), ErrorKind> {
    let answered = connect(from, to).and_then(|mut stream| exchange(&mut stream));
    answered.map_err(|error| error.kind())
}

fn udp(from: &NetNs, to: &str) -> Result<(), ErrorKind> {
    let to: SocketAddr = to.parse().unwrap();
    let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let answered = from.run(|| {
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.connect(to)?;
        socket.send(b"x")?;
        socket.recv(&mut [0; 64]).map(drop)
    });
    answered.unwrap().map_err(|error| error.kind())
}

fn apply_to(netns: &NetNs, backend: Backend, wanted: &[RuleSet]) -> Change {
    let applied = apply(netns, &xtables(), only(backend), Mesh::Istio, wanted);
    applied
        .unwrap_or_else(|error| panic!("{backend}: {error}"))
        .change
}

fn found(netns: &NetNs, backend: Backend) -> Vec<RuleSet> {
    let found = read(netns, &xtables(), only(backend), &Family::ALL);
    found.unwrap().rule_sets
}

/// What the pod gets whose first address is IPv4.
fn wanted() -> [RuleSet; 2] {
    [rules(&productpage(), Family::V4), reject_ipv6()]
}

/// New connections over IPv6 are refused at once, in both directions.
fn assert_refused(net: &Net, backend: Backend) {
    let refused = Err(ErrorKind::ConnectionRefused);
    let prohibited = Err(ErrorKind::PermissionDenied);
    let (to_pod, to_peer) = (Net::link_local(&net.peer, 1), Net::link_local(&net.pod, 2));
    for (from, to) in [
        (&net.peer, format!("[fd00::1]:{APP}")),
        (&net.peer, to_pod),
        (&net.pod, format!("[fd00::2]:{APP}")),
        (&net.pod, to_peer),
    ] {
        let start = Instant::now();
        assert_eq!(tcp(from, &to), refused, "{backend}: {to} over TCP");
        assert_eq!(udp(from, &to), prohibited, "{backend}: {to} over UDP");
        assert!(start.elapsed() < DEADLINE, "{backend}: {to} got an answer");
    }
}

#[test]
fn ipv6_is_refused_except_over_loopback_and_ipv4_is_not_affected() {
    for backend in Backend::ALL {
        let net = Net::new();
        let before = [
            (&net.peer, "[fd00::1]:8080"),
            (&net.pod, "[fd00::2]:8080"),
            (&net.peer, "10.0.0.1:8080"),
        ];
        for (from, to) in before {
            assert_eq!(tcp(from, to), Ok(()), "{backend}: {to} before the rules");
            assert_eq!(udp(from, to), Ok(()), "{backend}: {to} before the rules");
        }
        let mut existing = [
            connect(&net.peer, "[fd00::1]:8080").unwrap(),
            connect(&net.pod, "[fd00::2]:8080").unwrap(),
        ];
        for stream in &mut existing {
            exchange(stream).unwrap();
        }

        assert_eq!(apply_to(&net.pod, backend, &wanted()), Change::Created);
        // Each side must find the other one again, so the answers prove neighbour discovery.
        for netns in [&net.pod, &net.peer] {
            ip(netns, "-6 neigh flush dev eth0");
        }
        assert_refused(&net, backend);
        add_address(&net.pod, "fd77::1");
        ip(&net.peer, "-6 route add fd77::/64 dev eth0");
        let late = tcp(&net.peer, "[fd77::1]:8080");
        assert_eq!(
            late,
            Err(ErrorKind::ConnectionRefused),
            "{backend}: a later address"
        );

        for to in [
            "[::1]:8080",
            "[fd00::1]:8080",
            "127.0.0.1:8080",
            "10.0.0.1:8080",
        ] {
            assert_eq!(tcp(&net.pod, to), Ok(()), "{backend}: {to} in the pod");
            assert_eq!(udp(&net.pod, to), Ok(()), "{backend}: {to} in the pod");
        }
        assert_eq!(
            tcp(&net.peer, "10.0.0.1:8080"),
            Ok(()),
            "{backend}: to the proxy"
        );
        assert_eq!(udp(&net.peer, "10.0.0.1:8080"), Ok(()), "{backend}");
        for stream in &mut existing {
            exchange(stream).unwrap_or_else(|error| panic!("{backend}: existing: {error}"));
        }
    }
}

#[test]
fn the_rules_are_read_replaced_and_removed_as_any_others() {
    for backend in Backend::ALL {
        let netns = scratch();
        let redirecting = Family::ALL.map(|family| rules(&productpage(), family));
        let [ipv4, reject] = wanted();
        let mut change = Change::Created;
        for wanted in [
            &[ipv4.clone(), reject.clone()][..],
            &redirecting,
            &[ipv4.clone(), reject],
            &[ipv4],
        ] {
            assert_eq!(apply_to(&netns, backend, wanted), change, "{backend}");
            let difference = drift_all(wanted, &found(&netns, backend), &OWNERSHIP);
            assert_eq!(difference, None, "{backend}");
            assert_eq!(
                apply_to(&netns, backend, wanted),
                Change::Unchanged,
                "{backend}"
            );
            change = Change::Replaced;
        }
        assert!(
            !saved(&netns, backend, Family::V6).contains("MESH_CNI"),
            "{backend}"
        );
        apply_to(&netns, backend, &wanted());
        let removed = remove(&netns, &xtables(), only(backend), Mesh::Istio).unwrap();
        assert_eq!(removed.change, Change::Removed, "{backend}");
        assert!(
            !saved(&netns, backend, Family::V6).contains("MESH_CNI"),
            "{backend}"
        );
    }
}

#[test]
fn programs_and_netlink_write_the_same_rules() {
    let saved = [Backend::Netlink, Backend::IptablesNft].map(|backend| {
        let netns = scratch();
        apply_to(&netns, backend, &[reject_ipv6()]);
        (
            saved(&netns, backend, Family::V6),
            must(
                &netns,
                "nft",
                &["-s", "--debug=netlink", "list", "ruleset", "ip6"],
                "",
            ),
        )
    });
    assert_eq!(saved[0], saved[1]);
}

#[test]
fn the_script_for_nft_is_what_the_kernel_has() {
    let netns = scratch();
    apply_to(&netns, Backend::NftNative, &[reject_ipv6()]);
    let listed = saved(&netns, Backend::NftNative, Family::V6);
    let script = mesh_cni_nftables::native::script(&reject_ipv6()).unwrap();
    assert_eq!(listed, script);
}

#[test]
fn a_namespace_without_ipv6_gets_the_rules_and_no_address() {
    for backend in Backend::ALL {
        let netns = scratch();
        must(
            &netns,
            "sysctl",
            &["-q", "net.ipv6.conf.all.disable_ipv6=1"],
            "",
        );
        ip(&netns, "link set lo up");
        assert_eq!(apply_to(&netns, backend, &wanted()), Change::Created);
        let difference = drift_all(&wanted(), &found(&netns, backend), &OWNERSHIP);
        assert_eq!(difference, None, "{backend}");
        assert!(
            netns.run(ipv6_addresses).unwrap().unwrap().is_empty(),
            "{backend}"
        );
    }
}
