//! A pod with two interfaces to a peer and a third to guests behind it, in both families; sockets in
//! every namespace report which packets they receive.
//!
//! Fast enough for a hundred thousand packets. Each namespace has a thread that opens sockets as the
//! user and group of the packet, because rules match the owner of the socket. Each source port is
//! used only once, so no packet belongs to an older connection.

mod received;
mod socket_thread;
mod sockets;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::NetNs;

pub use received::{Destinations, Received};
pub use socket_thread::Probe;
use socket_thread::SocketThread;
use sockets::Sockets;

use crate::{Sender, must};

/// The source ports of packets.
const SOURCE_PORTS: std::ops::Range<u16> = 20000..60000;

/// The timeout for a packet that should arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// The timeout for a packet that should not arrive. If it arrives later, the next packet detects it.
const ABSENCE_TIMEOUT: Duration = Duration::from_millis(100);

/// The namespace from which a packet is sent, or which receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The pod.
    Pod,
    /// The network, connected to the pod's `eth0` and `net1`.
    Peer,
    /// A guest connected to the pod's `docker0`, such as a container or virtual machine in the pod.
    Guest,
}

/// The three namespaces, their sockets and threads.
#[derive(Debug)]
pub struct PodGuestNet {
    /// The pod's namespace.
    pub pod: NetNs,
    _others: [NetNs; 2],
    sockets: Sockets,
    threads: [SocketThread; 3],
    next_source: u16,
}

/// The addresses of both ends of one of the pod's interfaces.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The pod's interface.
    pub interface: &'static str,
    /// The IPv4 addresses of the pod and of the other end.
    ipv4: [&'static str; 2],
    /// The IPv6 addresses.
    ipv6: [&'static str; 2],
    lengths: [u8; 2],
}

impl Link {
    /// The pod's connection to the network.
    pub const ETH0: Self = Self {
        interface: "eth0",
        ipv4: ["10.99.0.2", "10.99.0.3"],
        ipv6: ["fd00:99::2", "fd00:99::3"],
        lengths: [24, 64],
    };
    /// A second connection to the network.
    pub const NET1: Self = Self {
        interface: "net1",
        ipv4: ["10.98.0.2", "10.98.0.3"],
        ipv6: ["fd00:98::2", "fd00:98::3"],
        lengths: [24, 64],
    };
    /// The pod's connection to its guests.
    pub const DOCKER0: Self = Self {
        interface: "docker0",
        ipv4: ["172.17.0.1", "172.17.0.2"],
        ipv6: ["fd00:17::1", "fd00:17::2"],
        lengths: [16, 64],
    };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ETH0, Self::NET1, Self::DOCKER0];

    /// The pod's own address.
    pub fn own(&self, family: Family) -> IpAddr {
        address(self.of(family)[0])
    }

    /// The address at the other end.
    pub fn other(&self, family: Family) -> IpAddr {
        address(self.of(family)[1])
    }

    /// The pod's address with its prefix, as `ip address add` takes it.
    pub fn own_network(&self, family: Family) -> String {
        format!("{}/{}", self.own(family), self.length(family))
    }

    fn other_network(&self, family: Family) -> String {
        format!("{}/{}", self.other(family), self.length(family))
    }

    fn of(&self, family: Family) -> [&'static str; 2] {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6,
        }
    }

    fn length(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.lengths[0],
            Family::V6 => self.lengths[1],
        }
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("a valid address")
}

/// An address of the peer outside the subnets of the pod's interfaces.
pub fn far_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => address("192.168.0.1"),
        Family::V6 => address("fd00:192::1"),
    }
}

impl PodGuestNet {
    /// The ports with listeners in each namespace, for both protocols and families.
    pub const PORTS: [u16; 16] = [
        22, 53, 80, 3306, 4140, 4143, 9080, 15001, 15006, 15008, 15020, 15021, 15090, 25001, 25006,
        25008,
    ];
    /// Those whose listeners accept connections to any address, as a proxy with TPROXY does.
    pub(crate) const TRANSPARENT: [u16; 2] = [15006, 25006];

    /// Creates the namespaces, which exist as long as this value.
    pub fn new() -> Self {
        let create = || NetNs::scratch().expect("this test needs root: run `make test`");
        let (pod, peer, guest) = (create(), create(), create());
        for netns in [&pod, &peer, &guest] {
            prepare(netns);
        }
        for link in Link::ALL {
            let other = if link.interface == "docker0" {
                &guest
            } else {
                &peer
            };
            join(&pod, other, link);
        }
        for family in Family::ALL {
            routes(family, &pod, &peer, &guest);
        }
        let sockets = Sockets::open(&[&pod, &peer, &guest]);
        let threads = [
            SocketThread::start(&pod),
            SocketThread::start(&peer),
            SocketThread::start(&guest),
        ];
        Self {
            pod,
            _others: [peer, guest],
            sockets,
            threads,
            next_source: SOURCE_PORTS.start,
        }
    }

    /// Starts a resolver of the proxy with a user and group for the next packets.
    pub fn resolve_as(&mut self, proxy: Sender) {
        self.sockets.resolve(&self.threads[0], proxy);
    }

    /// Whether enough unused source ports remain for that many packets.
    pub fn has_ports_for(&self, packets: u16) -> bool {
        SOURCE_PORTS.end - self.next_source >= packets
    }

    /// Sends the first packet of a connection, and returns which socket received it, if any. The
    /// timeout is longer if the packet is expected to arrive.
    ///
    /// The proxy's resolver answers a query, and the client must receive the answer.
    pub fn send(
        &mut self,
        from: Origin,
        protocol: Protocol,
        mut probe: Probe,
        is_expected: bool,
    ) -> Option<Received> {
        let source = self.next_source;
        self.next_source += 1;
        probe.source.set_port(source);
        let thread = &self.threads[from as usize];
        let client = thread.open(protocol, probe);
        let timeout = if is_expected {
            ARRIVAL_TIMEOUT
        } else {
            ABSENCE_TIMEOUT
        };
        self.sockets.receive(&client, protocol, source, timeout)
    }
}

impl Default for PodGuestNet {
    fn default() -> Self {
        Self::new()
    }
}

/// Enables loopback and forwarding, and disables duplicate address detection and reverse path filters.
fn prepare(netns: &NetNs) {
    let settings = [
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
    ];
    let write = || {
        for (name, value) in settings {
            let written = fs::write(format!("/proc/sys/net/{name}"), value);
            written.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    };
    netns.run(write).expect("the namespace can be entered");
    must(netns, "ip link set lo up");
}

fn join(pod: &NetNs, other: &NetNs, link: Link) {
    let (name, far) = (link.interface, other.path().display());
    must(
        pod,
        &format!("ip link add {name} type veth peer name {name} netns {far}"),
    );
    for (netns, network) in [
        (pod, Link::own_network as fn(&Link, Family) -> String),
        (other, Link::other_network),
    ] {
        for family in Family::ALL {
            let network = network(&link, family);
            must(netns, &format!("ip address add {network} dev {name} nodad"));
        }
        must(netns, &format!("ip link set {name} up"));
    }
}

/// Adds routes: to the far address, to the guests, and to the pod's first address through its second
/// interface.
fn routes(family: Family, pod: &NetNs, peer: &NetNs, guest: &NetNs) {
    let (option, near) = match family {
        Family::V4 => ("", "10.99.0.0/24"),
        Family::V6 => ("-6 ", "fd00:99::/64"),
    };
    let guests = match family {
        Family::V4 => "172.17.0.0/16",
        Family::V6 => "fd00:17::/64",
    };
    let add = |netns: &NetNs, route: String| must(netns, &format!("ip {option}route add {route}"));
    let far = far_address(family);
    must(peer, &format!("ip address add {far} dev eth0 nodad"));
    add(pod, format!("default via {}", Link::ETH0.other(family)));
    add(guest, format!("default via {}", Link::DOCKER0.own(family)));
    add(peer, format!("{guests} via {}", Link::ETH0.own(family)));
    let (source, via) = (Link::NET1.other(family), Link::NET1.own(family));
    add(
        peer,
        format!("{near} via {via} dev net1 src {source} metric 4000"),
    );
}

/// The unspecified address.
pub fn any_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
