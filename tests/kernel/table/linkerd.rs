//! Linkerd.

use mesh_cni_netfilter::Port;
use mesh_cni_netfilter::ruleset::{Family, Protocol};
use mesh_cni_netfilter::value::Gid;
use mesh_cni_netns::Backend;
use mesh_cni_rules::{Interception, linkerd};
use mesh_cni_tests::{Link, Origin, PodGuestNet, Sender, far_address};

use super::{Row, follow_all};
use Origin::{Peer, Pod};
use Protocol::{Tcp, Udp};

const PROXY: Sender = Sender {
    user: 2102,
    group: 2102,
};
const PROXY_GROUP: Sender = Sender {
    user: 1000,
    group: 2103,
};

/// The chart's defaults, with a group, a skipped port and range, and skipped subnets of both families.
fn settings() -> linkerd::Interception {
    let mut to = linkerd::Interception::pod_default();
    to.proxy_gid = Some(Gid(2103));
    to.skipped_inbound_ports.push(Port::constant(22).into());
    to.skipped_outbound_ports = vec!["15020:15021".parse().unwrap()];
    to.skipped_inbound_subnets = Family::ALL.map(|of| Link::NET1.other(of).into()).to_vec();
    to.skipped_outbound_subnets = Family::ALL.map(|of| far_address(of).into()).to_vec();
    to
}

fn rows(family: Family) -> Vec<Row> {
    let (own, peer) = (Link::ETH0.own(family), Link::ETH0.other(family));
    let (far, local) = (far_address(family), family.loopback().ip());
    let (by, eth0, net1) = (Sender::APP, (Link::ETH0, family), (Link::NET1, family));
    let (arriving, leaving) = (Row::arriving, Row::leaving);
    vec![
        arriving("in, tcp", Tcp, eth0, 9080, 4143),
        arriving("in, to a skipped port", Tcp, eth0, 22, 22),
        arriving("in, from a skipped subnet", Tcp, net1, 9080, 9080),
        arriving("in, udp", Udp, eth0, 9080, 9080),
        leaving("app's tcp", Tcp, by, (peer, 9080), (Pod, 4140)),
        leaving("to a skipped port", Tcp, by, (peer, 15021), (Peer, 15021)),
        leaving("to a skipped subnet", Tcp, by, (far, 9080), (Peer, 9080)),
        leaving("to loopback", Tcp, by, (local, 9080), (Pod, 9080)),
        leaving("app to its own pod", Tcp, by, (own, 9080), (Pod, 9080)),
        leaving("app's udp", Udp, by, (peer, 9080), (Peer, 9080)),
        leaving("app's query over udp", Udp, by, (peer, 53), (Peer, 53)),
        leaving("app's query over tcp", Tcp, by, (peer, 53), (Pod, 4140)),
        leaving("proxy's user", Tcp, PROXY, (peer, 9080), (Peer, 9080)),
        leaving("proxy's group", Tcp, PROXY_GROUP, (peer, 80), (Peer, 80)),
        leaving("proxy to its own pod", Tcp, PROXY, (own, 80), (Pod, 80)),
    ]
}

#[test]
fn every_row_arrives_where_linkerd_sends_it() {
    let mut world = PodGuestNet::new();
    let interception = Interception::Linkerd(settings());
    for backend in Backend::ALL {
        follow_all(&mut world, &interception, backend, rows);
    }
}
