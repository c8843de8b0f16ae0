//! Random settings: every setting of the contract, alone and combined.

use std::fmt::Debug;
use std::net::IpAddr;

use mesh_cni_netfilter::ruleset::{PolicyRouting, Protocol};
use mesh_cni_netfilter::value::{Gid, InterfaceName, Port, PortRange, Uid, network};
use mesh_cni_rules::istio::interception::{
    DnsCapture, InboundCapture, Mode, OutboundRanges, OwnerGroups,
};
use mesh_cni_rules::istio::{Dialect, TPROXY_ROUTING};
use mesh_cni_rules::kuma::{Flow, UserExclusion, VirtualNetwork};
use mesh_cni_rules::{Interception, istio, kuma, linkerd};

use crate::random::Random;

const PORTS: [&str; 11] = [
    "22",
    "53",
    "80",
    "3306",
    "9080",
    "15020",
    "15008",
    "9000:9100",
    ":80",
    "15000:",
    "3306:9080",
];

const RANGES: [&str; 16] = [
    "10.99.0.0/24",
    "10.99.0.3/32",
    "10.98.0.0/16",
    "172.17.0.0/16",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "127.1.1.0/24",
    "127.0.0.1/32",
    "0.0.0.0/0",
    "fd00:99::/64",
    "fd00:99::3/128",
    "fd00:98::/32",
    "fd00:17::/64",
    "fd00:192::/32",
    "::1/128",
    "::/0",
];

const SERVERS: [&str; 6] = [
    "10.99.0.3",
    "192.168.0.1",
    "127.0.0.1",
    "fd00:99::3",
    "fd00:98::3",
    "::1",
];

fn each<T, E: Debug>(texts: &[&str], parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
    let parsed = texts.iter().map(|text| parse(text));
    parsed.map(Result::unwrap).collect()
}

fn ports(random: &mut Random) -> Vec<PortRange> {
    each(&random.some(&PORTS, 4), str::parse)
}

fn port(random: &mut Random, usual: u16) -> Port {
    let other = usual + 10000;
    Port::new(random.one(&[usual, usual, other])).unwrap()
}

fn interfaces(random: &mut Random, of: &[&str]) -> Vec<InterfaceName> {
    each(&random.some(of, 4), str::parse)
}

fn mode(random: &mut Random) -> Mode {
    match random.next() % 8 {
        0..4 => Mode::Redirect,
        4..6 => Mode::Tproxy(TPROXY_ROUTING),
        _ => Mode::Tproxy(PolicyRouting::new(
            random.one(&[1, 0x100, 1337, 0xffff_fffe]),
            random.one(&[133, 200, 1000]),
        )),
    }
}

fn owners(random: &mut Random, to: &mut istio::Interception) {
    let users: [&[u32]; 5] = [&[1337], &[1337], &[1337, 1338], &[1338], &[0]];
    let groups: [&[u32]; 5] = [&[1337], &[1337], &[1337, 2102], &[2102], &[0, 7]];
    to.proxy_uids = random.one(&users).iter().copied().map(Uid).collect();
    to.proxy_gids = random.one(&groups).iter().copied().map(Gid).collect();
    to.owner_groups = match random.next() % 6 {
        0 => OwnerGroups::Only(vec![Gid(1000), Gid(7)]),
        1 => OwnerGroups::Only(vec![Gid(1000)]),
        2 => OwnerGroups::Except(vec![Gid(7), Gid(0)]),
        _ => OwnerGroups::All,
    };
}

fn dns(random: &mut Random) -> DnsCapture {
    match random.next() % 4 {
        0 => DnsCapture::All,
        1 => DnsCapture::Servers(each(&random.some(&SERVERS, 2), str::parse::<IpAddr>)),
        _ => DnsCapture::Off,
    }
}

/// Anything that settings can ask for.
pub(super) fn random(random: &mut Random) -> Interception {
    match random.next() % 4 {
        0 => Interception::Linkerd(of_linkerd(random)),
        1 => Interception::Kuma(of_kuma(random)),
        _ => {
            let interception = of_istio(random);
            Interception::Istio(interception, random.one(&[Dialect::Asm, Dialect::Istio]))
        }
    }
}

/// Ports that are skipped; sometimes more than one rule has room for, and sometimes with the ports of
/// the API server at the end, as for the control plane.
fn skipped(random: &mut Random) -> Vec<PortRange> {
    let mut ports = ports(random);
    if random.once_in(4) {
        let many = (1..=16).map(|port| Port::constant(port).into());
        ports.splice(0..0, many);
    }
    if random.once_in(4) {
        ports.extend([Port::constant(9080), Port::constant(3306)].map(PortRange::from));
    }
    ports
}

fn of_linkerd(random: &mut Random) -> linkerd::Interception {
    let mut to = linkerd::Interception::command_default();
    to.inbound_port = Port::constant(random.one(&[4143, 4143, 15006]));
    to.outbound_port = Port::constant(random.one(&[4140, 4140, 15001]));
    to.proxy_uid = random
        .one(&[Some(1337), Some(1337), Some(1338), None])
        .map(Uid);
    to.proxy_gid = random.one(&[None, None, Some(1337), Some(2102)]).map(Gid);
    if random.once_in(3) {
        to.redirected_ports = ports(random);
    }
    to.skipped_inbound_ports = skipped(random);
    to.skipped_outbound_ports = skipped(random);
    let ranges = [&RANGES[..], &["10.99.0.3/24", "fd00:99::3/64"]].concat();
    let subnets = |random: &mut Random| each(&random.some(&ranges, 12), str::parse);
    to.skipped_inbound_subnets = subnets(random);
    to.skipped_outbound_subnets = subnets(random);
    to
}

fn flow(random: &mut Random, flow: &mut Flow) {
    let numbers = |random: &mut Random, in_turns| -> Vec<Port> {
        each(
            &random.some(&["22", "53", "80", "3306", "9080"], in_turns),
            str::parse,
        )
    };
    flow.enabled = !random.once_in(6);
    flow.port = port(random, flow.port.get());
    if random.once_in(4) {
        flow.include_ports = numbers(random, 2);
    }
    flow.exclude_ports = numbers(random, 4);
    flow.exclude_networks = each(&random.some(&RANGES, 12), network);
    flow.insert = random.once_in(4);
}

fn excluded_users(random: &mut Random) -> Vec<UserExclusion> {
    let users = random.some(&["0", "7", "1000-1337", "1338"], 4);
    let exclusion = |users: &str| UserExclusion {
        protocol: random.one(&[Protocol::Tcp, Protocol::Udp]),
        ports: match random.some(&PORTS, 3) {
            ports if ports.is_empty() => each(&["1:65535"], str::parse),
            mut ports => {
                ports.truncate(7);
                each(&ports, str::parse)
            }
        },
        users: users.parse().unwrap(),
    };
    users.into_iter().map(exclusion).collect()
}

fn of_kuma(random: &mut Random) -> kuma::Interception {
    let mut to = kuma::Interception::pod_default();
    to.proxy_uid = Uid(random.one(&[1337, 1337, 1338]));
    flow(random, &mut to.inbound);
    flow(random, &mut to.outbound);
    to.excluded_users = excluded_users(random);
    to.dns = dns(random);
    let interface = random
        .one(&["docker0", "docker+"])
        .parse::<InterfaceName>()
        .unwrap();
    if random.once_in(3) {
        to.virtual_networks = ["172.17.0.0/16", "fd00:17::/64"]
            .map(|range| VirtualNetwork {
                interface: interface.clone(),
                network: network(range).unwrap(),
            })
            .to_vec();
    }
    // With zones, the answer to a query of a virtual network does not find its connection. So it is in
    // Kuma.
    to.separate_zones = to.virtual_networks.is_empty() && !random.once_in(4);
    to.drop_invalid = random.once_in(3);
    to.log_level = random.once_in(3).then_some(7);
    to
}

fn of_istio(random: &mut Random) -> istio::Interception {
    let mut to = istio::Interception::pod_default();
    to.mode = mode(random);
    to.outbound_capture_port = port(random, 15001);
    to.inbound_capture_port = port(random, 15006);
    to.tunnel_port = port(random, 15008);
    owners(random, &mut to);
    to.inbound = match random.next() % 4 {
        0 => InboundCapture::only(ports(random)),
        _ => InboundCapture::AllExcept(ports(random)),
    };
    to.outbound_ranges = match random.next() % 2 {
        0 => OutboundRanges::Only(each(&random.some(&RANGES, 4), network)),
        _ => OutboundRanges::All,
    };
    to.exclude_outbound_ranges = each(&random.some(&RANGES, 12), network);
    to.outbound_ports = ports(random);
    to.exclude_outbound_ports = random.some(&to.outbound_ports.clone(), 3);
    to.exclude_outbound_ports
        .extend(each(&random.some(&["9080"], 4), str::parse::<PortRange>));
    to.exclude_interfaces = interfaces(random, &["net1", "docker0", "eth0", "net+"]);
    to.reroute_interfaces = interfaces(random, &["docker0", "docker0", "net1", "docker+"]);
    to.reroute_interfaces.dedup();
    to.dns = dns(random);
    to.drop_invalid = random.once_in(3);
    if random.once_in(4) {
        to.ipv4_loopback = network(random.one(&["127.0.0.0/8", "127.1.1.0/24"])).unwrap();
    }
    to
}
