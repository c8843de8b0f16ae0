//! The ways to read the addresses of a namespace.

use std::net::{IpAddr, UdpSocket};

use mesh_cni_netns::{addresses, interface_addresses, ipv6_addresses};

use crate::support::{must, scratch};

#[test]
fn both_ways_find_the_same_ipv6_addresses() {
    let netns = scratch();
    assert!(netns.run(ipv6_addresses).unwrap().unwrap().is_empty());
    must(&netns, "ip", &["link", "set", "lo", "up"], "");
    for network in ["fd00:99::5/64", "2001:db8::12:0:1/128", "10.99.0.2/24"] {
        must(&netns, "ip", &["address", "add", network, "dev", "lo"], "");
    }
    let all = netns.run(addresses).unwrap().unwrap();
    let mut six: Vec<_> = all.iter().filter(|ip| ip.is_ipv6()).copied().collect();
    let read = netns.run(ipv6_addresses).unwrap().unwrap();
    let mut read: Vec<_> = read.into_iter().map(IpAddr::V6).collect();
    six.sort();
    read.sort();
    assert_eq!(read, six);
    assert!(
        read.contains(&"2001:db8::12:0:1".parse().unwrap()),
        "{read:?}"
    );
    assert!(all.contains(&"10.99.0.2".parse().unwrap()), "{all:?}");
}

#[test]
fn only_addresses_on_interfaces_other_than_loopback_identify_a_namespace() {
    let netns = scratch();
    let ip = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').collect();
        must(&netns, "ip", &arguments, "");
    };
    let read = || netns.run(interface_addresses).unwrap().unwrap();
    assert!(read().is_empty());
    ip("link set lo up");
    ip("address add 10.99.0.2/32 dev lo");
    ip("-6 address add fd00:99::2/128 dev lo");
    let nonlocal = "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind";
    must(&netns, "sh", &["-c", nonlocal], "");
    let binds = netns.run(|| UdpSocket::bind(("10.99.0.3", 0)).is_ok());
    assert!(binds.unwrap(), "any address can be bound");
    assert!(read().is_empty(), "{:?}", read());
    // Its name does not make an interface the loopback interface.
    // Older kernels rename only an interface that is down.
    ip("link set lo down");
    ip("link set lo name eth1");
    ip("link set eth1 up");
    ip("link add lo type bridge");
    ip("address add 10.99.0.4/24 dev lo");
    ip("address add 10.99.0.5 peer 10.99.0.6 dev lo");
    ip("-6 address add fd00:99::4/64 dev lo nodad");
    let expected = ["10.99.0.4", "10.99.0.5", "fd00:99::4"].map(|ip| ip.parse().unwrap());
    assert_eq!(read(), expected as [IpAddr; 3]);
}
