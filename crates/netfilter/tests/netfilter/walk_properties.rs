//! Properties of the walk for any rules and any packet.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::ruleset::{Policy, PolicyVerdict, RejectWith};
use mesh_cni_netfilter::walk::{Event, PolicyCounters, Side, replay};
use mesh_cni_netfilter::{
    BuiltinChain, Chain, ChainName, ConntrackState, Family, Gid, IdRange, InterfaceName, Mark,
    Match, Outcome, Packet, PolicyRouting, Port, PortNames, PortRange, Protocol, Rule, RuleSet,
    Sense, TableName, Target, Uid, Walk, walk_in,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::pod;

fn chain_name() -> impl Strategy<Value = ChainName> {
    let user_chains = ["A", "B", "C"].map(|name| ChainName::new(name).unwrap());
    let builtin = BuiltinChain::ALL.map(ChainName::from);
    select([user_chains.to_vec(), builtin.to_vec()].concat())
}

fn sense() -> impl Strategy<Value = Sense> {
    select(vec![Sense::Is, Sense::IsNot])
}

/// Few values, so that rules often match packets.
fn port() -> impl Strategy<Value = Port> {
    select(
        [53, 80, 15001, 15006]
            .map(|number| Port::new(number).unwrap())
            .to_vec(),
    )
}

fn ports() -> impl Strategy<Value = PortRange> {
    let range = (port(), port()).prop_map(|(one, other)| {
        let (one, other) = (one.get(), other.get());
        PortRange::new(one.min(other), one.max(other)).unwrap()
    });
    prop_oneof![
        2 => port().prop_map(PortRange::from),
        2 => range,
        1 => select(vec![PortRange::ALL, PortRange::new(0, 0).unwrap()]),
    ]
}

fn mark() -> impl Strategy<Value = Mark> {
    (0_u32..4, select(vec![u32::MAX, 1, 0])).prop_map(|(value, mask)| Mark { value, mask })
}

fn network() -> impl Strategy<Value = IpNetwork> {
    let ranges = [
        "10.244.1.17/32",
        "127.0.0.0/8",
        "10.0.0.0/8",
        "fd00::/8",
        "::1/128",
    ];
    select(
        ranges
            .map(|range| range.parse::<IpNetwork>().unwrap())
            .to_vec(),
    )
}

fn interface() -> impl Strategy<Value = InterfaceName> {
    select(
        ["lo", "eth0", "eth+", "+"]
            .map(|name| name.parse::<InterfaceName>().unwrap())
            .to_vec(),
    )
}

fn state() -> impl Strategy<Value = ConntrackState> {
    select(ConntrackState::ALL.to_vec())
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Icmpv6])
}

fn condition() -> impl Strategy<Value = Match> {
    prop_oneof![
        (sense(), network()).prop_map(|(sense, range)| Match::Source(sense, range)),
        (sense(), network()).prop_map(|(sense, range)| Match::Destination(sense, range)),
        (sense(), interface()).prop_map(|(sense, name)| Match::InInterface(sense, name)),
        (sense(), interface()).prop_map(|(sense, name)| Match::OutInterface(sense, name)),
        (sense(), protocol()).prop_map(|(sense, protocol)| Match::Protocol(sense, protocol)),
        (sense(), ports()).prop_map(|(sense, ports)| Match::SourcePort(sense, ports)),
        (sense(), ports()).prop_map(|(sense, ports)| Match::DestinationPort(sense, ports)),
        sense().prop_map(Match::TcpSyn),
        (sense(), 1_u8..=255).prop_map(|(sense, number)| Match::Icmpv6Type(sense, number)),
        (sense(), prop::collection::vec(ports(), 0..3))
            .prop_map(|(sense, ports)| Match::DestinationPorts(sense, ports)),
        (sense(), 0_u32..3, 0_u32..2).prop_map(|(sense, first, more)| {
            let users = IdRange::new(Uid(first), Uid(first + more)).unwrap();
            Match::OwnerUid(sense, users)
        }),
        (sense(), 0_u32..3, 0_u32..2).prop_map(|(sense, first, more)| {
            let groups = IdRange::new(Gid(first), Gid(first + more)).unwrap();
            Match::OwnerGid(sense, groups)
        }),
        (sense(), mark()).prop_map(|(sense, mark)| Match::Mark(sense, mark)),
        (sense(), mark()).prop_map(|(sense, mark)| Match::Connmark(sense, mark)),
        (sense(), prop::collection::vec(state(), 0..3))
            .prop_map(|(sense, states)| Match::ConntrackState(sense, states)),
        Just(Match::Comment("to \"proxy\"".to_owned())),
        Just(Match::Opaque("-m addrtype --dst-type LOCAL".to_owned())),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let opaque = [
        "",
        "-j LOG --log-uid",
        "-j DNAT --to-destination 10.0.0.1",
        "-g A",
    ];
    prop_oneof![
        2 => Just(Target::Return),
        1 => Just(Target::Accept),
        1 => Just(Target::Drop),
        1 => select(RejectWith::ALL.to_vec()).prop_map(Target::Reject),
        4 => chain_name().prop_map(Target::Jump),
        2 => port().prop_map(Target::Redirect),
        1 => (port(), mark()).prop_map(|(port, mark)| Target::Tproxy { port, mark }),
        2 => mark().prop_map(Target::SetMark),
        2 => mark().prop_map(Target::SetConnmark),
        1 => Just(Target::SaveMark),
        1 => Just(Target::RestoreMark),
        1 => (0_u16..3).prop_map(Target::ConntrackZone),
        1 => (select(vec!["", "out: "]), 0_u8..8).prop_map(|(prefix, level)| Target::Log {
            prefix: prefix.to_owned(),
            level,
        }),
        1 => select(opaque.map(|words| Target::Opaque(words.to_owned())).to_vec()),
    ]
}

fn chain(table: TableName) -> impl Strategy<Value = Chain> {
    let rule = (prop::collection::vec(condition(), 0..3), target())
        .prop_map(|(matches, target)| Rule::new(matches, target));
    let verdict = select(vec![PolicyVerdict::Accept, PolicyVerdict::Drop]);
    let policy = prop::option::weighted(0.2, verdict);
    (chain_name(), prop::collection::vec(rule, 0..6), policy).prop_map(
        move |(name, rules, policy)| {
            let mut chain = Chain::new(table, name);
            chain.rules = rules;
            if let Some(verdict) = policy {
                chain.policy = Some(Policy {
                    verdict,
                    ..Policy::ACCEPT
                });
            }
            chain
        },
    )
}

fn rule_set() -> impl Strategy<Value = RuleSet> {
    let tables = TableName::ALL.map(|name| prop::collection::vec(chain(name), 0..7));
    let routing = prop::option::of(mark().prop_map(|mark| PolicyRouting {
        mark,
        table: 133,
        priority: None,
    }));
    let family = select(Family::ALL.to_vec());
    (family, tables, routing).prop_map(|(family, tables, routing)| {
        let mut rules = RuleSet::new(family);
        rules.routing = routing;
        for (name, chains) in TableName::ALL.into_iter().zip(tables) {
            rules.table_mut(name).chains = chains;
        }
        rules
    })
}

fn address(family: Family) -> impl Strategy<Value = IpAddr> {
    let texts = match family {
        Family::V4 => ["10.244.1.17", "127.0.0.1", "127.0.0.6", "10.0.0.7"],
        Family::V6 => ["fd00::17", "::1", "::6", "fd00::7"],
    };
    select(texts.map(|text| text.parse::<IpAddr>().unwrap()).to_vec())
}

fn packet() -> impl Strategy<Value = Packet> {
    let ends = select(Family::ALL.to_vec())
        .prop_flat_map(|family| (address(family), port(), address(family), any::<u16>()));
    let owner = prop::option::of((0_u32..3, 0_u32..3));
    let name = prop::option::of(select(vec!["lo", "eth0", "net1"]));
    let numbers = (0_u32..4, 0_u32..4, any::<u64>());
    let ways = (any::<bool>(), any::<bool>(), any::<bool>());
    (ends, any::<bool>(), ways, owner, name, numbers, state()).prop_map(
        |(
            (to, port, from, from_port),
            is_tcp,
            (incoming, named, reply),
            owner,
            name,
            numbers,
            state,
        )| {
            let to = SocketAddr::new(to, port.get());
            let from = SocketAddr::new(from, from_port);
            let mut packet = match (incoming, is_tcp) {
                (true, true) => Packet::tcp_in(from, to),
                (true, false) => Packet::udp_in(from, to),
                (false, true) => Packet::tcp_out(to),
                (false, false) => Packet::udp_out(to),
            };
            if named {
                packet = packet.from(from);
            }
            if reply {
                packet.side = Side::Reply;
            }
            if let Some((uid, gid)) = owner {
                packet = packet.sent_by(Uid(uid), Gid(gid));
            }
            if let Some(name) = name {
                packet = packet.on_interface(name.parse::<InterfaceName>().unwrap());
            }
            (packet.mark, packet.connmark, packet.bytes) = numbers;
            packet.state = state;
            packet
        },
    )
}

fn rules_checked(walk: &Walk) -> usize {
    let steps = walk.steps.iter();
    steps
        .filter(|step| matches!(step.event, Event::Rule { .. }))
        .count()
}

proptest! {
    #[test]
    fn a_walk_ends_and_is_deterministic(rules in rule_set(), packet in packet()) {
        let first = walk_in(&rules, &packet, &pod());
        prop_assert!(rules_checked(&first) <= Walk::MAX_RULES + 1);
        prop_assert_eq!(&walk_in(&rules, &packet, &pod()), &first);
        let names = PortNames::default();
        let end = first.outcome.display(names).to_string() + "\n";
        prop_assert!(first.display(names).to_string().ends_with(&end));
        for line in first.display_matched(names).to_string().lines() {
            prop_assert!(line.chars().count() <= 100 && !line.contains("  no: "), "{}", line);
        }
        if let Outcome::Undecided { table, chain, rule, .. } = &first.outcome {
            let found = rules.chain(*table, chain).and_then(|chain| chain.rules.get(rule - 1));
            prop_assert!(found.is_some(), "{:?}", first.outcome);
        }
    }

    #[test]
    fn counting_changes_only_counters(rules in rule_set(), packet in packet()) {
        let mut counted = rules.clone();
        let walk = replay(&mut counted, &packet, &pod(), PolicyCounters::Off);
        prop_assert_eq!(counted.rule_count(), rules.rule_count());
        prop_assert_eq!(walk_in(&counted, &packet, &pod()), walk);
    }

    #[test]
    fn a_displayed_packet_parses_as_itself(packet in packet()) {
        prop_assert_eq!(packet.to_string().parse::<Packet>(), Ok(packet));
    }

    #[test]
    fn no_text_panics(text in "(in|out|[a-z0-9\\[\\]:. é]*)( (tcp|udp|from|uid|gid|state|[0-9a-fx:.\\[\\]é]{0,12})){0,8}") {
        if let Err(error) = text.parse::<Packet>() {
            prop_assert!(error.position >= 1);
            prop_assert!(error.position <= text.chars().count() + 2);
        }
    }
}
