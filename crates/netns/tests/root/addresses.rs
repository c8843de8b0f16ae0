//! Both ways to read the addresses of a namespace.

use std::net::IpAddr;

use mesh_cni_netns::{addresses, ipv6_addresses};

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
