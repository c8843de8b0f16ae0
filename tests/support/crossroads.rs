//! A pod where networks meet: two of its interfaces lead to a peer, a third to guests behind it, in
//! both families; sockets on every side tell where a packet arrived.
//!
//! Quick enough for a hundred thousand packets. Senders are threads that stay in their namespace
//! and take the user and group of each packet for their own, since rules ask for those of whoever
//! made the socket. A source port is never used twice, so no packet meets an older connection.

mod arrival;
mod opener;
mod sockets;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::NetNs;

pub use arrival::{Ends, Met};
use opener::Opener;
pub use opener::Opening;
use sockets::Sockets;

use crate::{Sender, must};

/// The first and the last port from which packets are sent.
const SOURCES: std::ops::Range<u16> = 20000..60000;

/// How long a packet may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long is waited for one that should not arrive: the next packet finds it if it comes later.
const MISTRUST: Duration = Duration::from_millis(100);

/// A namespace, by what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The pod.
    Pod,
    /// The network, by the pod's `eth0` or `net1`.
    Peer,
    /// A guest behind the pod's `docker0`, such as a container or a virtual machine in it.
    Guest,
}

/// The three namespaces, their sockets and their senders.
#[derive(Debug)]
pub struct Crossroads {
    /// The pod's namespace.
    pub pod: NetNs,
    _others: [NetNs; 2],
    sockets: Sockets,
    openers: [Opener; 3],
    next_source: u16,
}

/// The pod's address on an interface, and that of whoever is at its other end.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The interface of the pod.
    pub interface: &'static str,
    /// The pod's address and the other one, of IPv4.
    four: [&'static str; 2],
    /// The same of IPv6.
    six: [&'static str; 2],
    lengths: [u8; 2],
}

impl Link {
    /// The pod's way to the network.
    pub const ETH0: Self = Self {
        interface: "eth0",
        four: ["10.99.0.2", "10.99.0.3"],
        six: ["fd00:99::2", "fd00:99::3"],
        lengths: [24, 64],
    };
    /// A second one.
    pub const NET1: Self = Self {
        interface: "net1",
        four: ["10.98.0.2", "10.98.0.3"],
        six: ["fd00:98::2", "fd00:98::3"],
        lengths: [24, 64],
    };
    /// The pod's way to its guests.
    pub const DOCKER0: Self = Self {
        interface: "docker0",
        four: ["172.17.0.1", "172.17.0.2"],
        six: ["fd00:17::1", "fd00:17::2"],
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
            Family::V4 => self.four,
            Family::V6 => self.six,
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
    text.parse().expect("this is an address")
}

/// An address of the peer that no interface of the pod is near.
pub fn far_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => address("192.168.0.1"),
        Family::V6 => address("fd00:192::1"),
    }
}

impl Crossroads {
    /// Where somebody listens, in each namespace, over both protocols and both families.
    pub const PORTS: [u16; 14] = [
        22, 53, 80, 3306, 9080, 15001, 15006, 15008, 15020, 15021, 15090, 25001, 25006, 25008,
    ];
    /// Which of these take connections to any address, as a proxy does under TPROXY.
    pub(crate) const TRANSPARENT: [u16; 2] = [15006, 25006];

    /// Makes the namespaces, which are gone with this value.
    pub fn new() -> Self {
        let make = || NetNs::scratch().expect("this test needs root: run `make test`");
        let (pod, peer, guest) = (make(), make(), make());
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
        let openers = [
            Opener::start(&pod),
            Opener::start(&peer),
            Opener::start(&guest),
        ];
        Self {
            pod,
            _others: [peer, guest],
            sockets,
            openers,
            next_source: SOURCES.start,
        }
    }

    /// The proxy of the next packets listens for queries, as that user and group.
    pub fn resolve_as(&mut self, proxy: Sender) {
        self.sockets.resolve(&self.openers[0], proxy);
    }

    /// Whether that many packets can still be sent from ports that none was sent from.
    pub fn has_ports_for(&self, packets: u16) -> bool {
        SOURCES.end - self.next_source >= packets
    }

    /// Sends a first packet and says who met it; none where nobody did. Whether somebody should
    /// decides how long is waited.
    ///
    /// A query that the proxy's resolver met is answered, and the answer must come.
    pub fn send(
        &mut self,
        from: Whence,
        protocol: Protocol,
        mut opening: Opening,
        awaited: bool,
    ) -> Option<Met> {
        let source = self.next_source;
        self.next_source += 1;
        opening.source.set_port(source);
        let opener = &self.openers[from as usize];
        let client = opener.open(protocol, opening);
        let patience = if awaited { PATIENCE } else { MISTRUST };
        self.sockets.meet(&client, protocol, source, patience)
    }
}

impl Default for Crossroads {
    fn default() -> Self {
        Self::new()
    }
}

/// Loopback up, packets passed on, no address on probation.
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

/// The ways beyond the links: the far address, the guests, and the pod's first address by its
/// second interface.
fn routes(family: Family, pod: &NetNs, peer: &NetNs, guest: &NetNs) {
    let (six, near) = match family {
        Family::V4 => ("", "10.99.0.0/24"),
        Family::V6 => ("-6 ", "fd00:99::/64"),
    };
    let guests = match family {
        Family::V4 => "172.17.0.0/16",
        Family::V6 => "fd00:17::/64",
    };
    let add = |netns: &NetNs, route: String| must(netns, &format!("ip {six}route add {route}"));
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

/// The address that leaves the choice to the kernel.
pub fn any_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
