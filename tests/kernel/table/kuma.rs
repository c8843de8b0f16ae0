//! Kuma and Kong Mesh.

use mesh_cni_netfilter::Port;
use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netns::Backend;
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::kuma::{UserExclusion, VirtualNetwork};
use mesh_cni_rules::{Interception, kuma};
use mesh_cni_tests::{Link, Origin, PodGuestNet, Sender, far_address};

use super::{Row, follow_all};
use Origin::{Peer, Pod};
use Protocol::{Tcp, Udp};

const PROXY: Sender = Sender {
    user: 5678,
    group: 5678,
};
const EXCLUDED_USER: Sender = Sender {
    user: 1002,
    group: 1000,
};

/// DNS capture, excluded ports, addresses and users, and a virtual network, in both families.
fn settings() -> kuma::Interception {
    let mut to = kuma::Interception::pod_default();
    to.inbound.exclude_ports = vec![Port::constant(22)];
    to.inbound.exclude_networks = Family::ALL.map(|of| Link::NET1.other(of).into()).to_vec();
    to.outbound.exclude_ports = vec![Port::constant(15020)];
    to.outbound.exclude_networks = Family::ALL.map(|of| far_address(of).into()).to_vec();
    to.excluded_users = vec![UserExclusion {
        protocol: Tcp,
        ports: vec!["80".parse().unwrap(), "9080:9081".parse().unwrap()],
        users: "1001-1002".parse().unwrap(),
    }];
    to.dns = DnsCapture::All;
    let of_docker = |family| VirtualNetwork {
        interface: Link::DOCKER0.interface.parse().unwrap(),
        network: Link::DOCKER0.own_network(family).parse().unwrap(),
    };
    to.virtual_networks = Family::ALL.map(of_docker).to_vec();
    to
}

fn rows(family: Family) -> Vec<Row> {
    let (own, peer) = (Link::ETH0.own(family), Link::ETH0.other(family));
    let (far, local) = (far_address(family), family.loopback().ip());
    let (by, eth0, net1) = (Sender::APP, (Link::ETH0, family), (Link::NET1, family));
    let user = EXCLUDED_USER;
    let (arriving, leaving) = (Row::arriving, Row::leaving);
    vec![
        arriving("in, tcp", Tcp, eth0, 9080, 15006),
        arriving("in, to an excluded port", Tcp, eth0, 22, 22),
        arriving("in, from an excluded address", Tcp, net1, 9080, 9080),
        arriving("in, udp", Udp, eth0, 9080, 9080),
        leaving("app's tcp", Tcp, by, (peer, 9080), (Pod, 15001)),
        leaving("to an excluded port", Tcp, by, (peer, 15020), (Peer, 15020)),
        leaving("to an excluded address", Tcp, by, (far, 9080), (Peer, 9080)),
        leaving("to loopback", Tcp, by, (local, 9080), (Pod, 9080)),
        leaving("app to its own pod", Tcp, by, (own, 9080), (Pod, 9080)),
        leaving("app's udp", Udp, by, (peer, 9080), (Peer, 9080)),
        leaving("app's query over udp", Udp, by, (peer, 53), (Pod, 15053)),
        leaving("app's query over tcp", Tcp, by, (peer, 53), (Peer, 53)),
        leaving("excluded user", Tcp, user, (peer, 9080), (Peer, 9080)),
        leaving("its other ports", Tcp, user, (peer, 3306), (Pod, 15001)),
        leaving("proxy's user", Tcp, PROXY, (peer, 9080), (Peer, 9080)),
        leaving("proxy to its own pod", Tcp, PROXY, (own, 80), (Pod, 15006)),
        leaving("proxy's query over udp", Udp, PROXY, (peer, 53), (Peer, 53)),
        leaving("proxy's query over tcp", Tcp, PROXY, (peer, 53), (Peer, 53)),
        Row::passed_on(PROXY, family),
        Row::of_guest("guest's tcp", family, 9080, (Pod, 15001)),
    ]
}

#[test]
fn every_row_arrives_where_kuma_sends_it() {
    let mut world = PodGuestNet::new();
    world.resolve_as(PROXY);
    let interception = Interception::Kuma(settings());
    for backend in Backend::ALL {
        follow_all(&mut world, &interception, backend, rows);
    }
}
