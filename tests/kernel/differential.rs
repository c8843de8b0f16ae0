//! Random settings and random packets: the walk against the kernel.
//!
//! `SEED`, `SETTINGS` and `PACKETS` of the environment choose another or a longer run
//! (`make differential`). A case that disagrees is told with its seed; once understood it becomes
//! a scenario.

use std::collections::BTreeMap;
use std::env;
use std::net::Ipv4Addr;

use mesh_cni_netns::{Backend, BackendChoice, apply};
use mesh_cni_rules::interception::{Mode, OwnerGroups};
use mesh_cni_rules::ruleset::Family;
use mesh_cni_rules::value::Gid;
use mesh_cni_rules::walk::walk_on;
use mesh_cni_rules::{Dialect, Interception, PodSettings, compile, render};
use mesh_cni_tests::{PodNet, Sender};

use crate::traffic::{Connection, xtables};
use crate::walk::{assert_arrived, first_packet, host};

/// Where somebody listens, on the pod and on the peer.
const PORTS: [u16; 8] = [22, 80, 3306, 9080, 15008, 15020, 15021, 15090];

/// A generator that gives the same numbers for the same seed everywhere (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let count = u64::try_from(of.len()).unwrap();
        of[usize::try_from(self.next() % count).unwrap()]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    /// Some of these, in their order, between commas.
    fn some(&mut self, of: &[&str]) -> String {
        let chosen = of.iter().filter(|_| self.once_in(3));
        chosen.copied().collect::<Vec<_>>().join(",")
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect("a whole number"))
}

fn interception(random: &mut Random) -> Interception {
    let ports = ["22", "80", "3306", "9080", "15020"];
    let ranges = [
        "10.99.0.0/24",
        "10.99.0.3/32",
        "192.168.0.0/16",
        "127.0.0.0/8",
    ];
    let every_port = random.some(&ports);
    let every_range = random.some(&ranges);
    let mut annotations = BTreeMap::new();
    let mut set = |random: &mut Random, name: &str, value: String| {
        if random.once_in(2) {
            annotations.insert(format!("traffic.sidecar.istio.io/{name}"), value);
        }
    };
    let inbound = random.one(&["*", &every_port]).to_owned();
    let outbound = random.one(&["*", &every_range]).to_owned();
    set(random, "includeInboundPorts", inbound);
    set(random, "includeOutboundIPRanges", outbound);
    for name in [
        "excludeInboundPorts",
        "includeOutboundPorts",
        "excludeOutboundPorts",
    ] {
        let value = random.some(&ports);
        set(random, name, value);
    }
    let value = random.some(&ranges);
    set(random, "excludeOutboundIPRanges", value);
    let mode = random.one(&["REDIRECT", "REDIRECT", "TPROXY"]).to_owned();
    annotations.insert("sidecar.istio.io/interceptionMode".to_owned(), mode);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let mut interception = settings.resolve().unwrap().interception;
    interception.drop_invalid = random.once_in(4);
    interception.owner_groups = match random.next() % 6 {
        0 => OwnerGroups::Only(vec![Gid(1000), Gid(7)]),
        1 => OwnerGroups::Except(vec![Gid(7)]),
        _ => OwnerGroups::All,
    };
    interception
}

fn connection(random: &mut Random) -> Connection {
    const OTHER: Sender = Sender { user: 7, group: 7 };
    let from_pod = !random.once_in(3);
    let targets = [
        PodNet::POD,
        PodNet::PEER,
        PodNet::EXCLUDED,
        Ipv4Addr::LOCALHOST,
    ];
    let target = if from_pod {
        random.one(&targets)
    } else {
        PodNet::POD
    };
    let senders = [
        Sender::APP,
        Sender::PROXY,
        Sender::PROXY_GROUP,
        Sender::ROOT,
        OTHER,
    ];
    Connection {
        story: "random",
        from_pod,
        sender: random.one(&senders),
        to: (target, random.one(&PORTS)),
        arrives: ("", 0),
    }
}

#[test]
fn the_walk_agrees_with_the_kernel_on_whatever_comes() {
    let (seed, settings, packets) = (
        number("SEED", 1),
        number("SETTINGS", 24),
        number("PACKETS", 12),
    );
    let mut random = Random(seed);
    for turn in 0..settings {
        let interception = interception(&mut random);
        let dialect = random.one(&[Dialect::Asm, Dialect::Istio]);
        let backend = random.one(&Backend::ALL);
        let net = PodNet::new();
        net.listen(&[&PORTS[..], &[15001]].concat(), &PORTS);
        match interception.mode {
            Mode::Redirect => net.listen(&[15006], &[]),
            Mode::Tproxy(_) => net.listen_transparently(15006),
        }
        let rules = compile(&interception, dialect, Family::V4);
        let choice = BackendChoice::Only(backend);
        apply(&net.pod, &xtables(), choice, std::slice::from_ref(&rules)).unwrap();
        for _ in 0..packets {
            let connection = connection(&mut random);
            let walk = walk_on(&rules, &first_packet(&connection), &host());
            let from = if connection.from_pod {
                &net.pod
            } else {
                &net.peer
            };
            let arrival = net.connect(from, connection.sender, connection.to);
            let restore = render::restore(&rules);
            let what = format!("seed {seed}, turn {turn}, {backend}\n{restore}\n{walk}");
            assert_arrived(arrival.as_ref(), &walk.fate, &what);
        }
    }
}
