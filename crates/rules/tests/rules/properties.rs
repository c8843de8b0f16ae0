//! Properties for any settings.

use std::collections::BTreeMap;

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Chain, Family, Mark, TableName, Target};
use mesh_cni_netfilter::{
    Listing, Port, PortRange, drift, only_ours, parse, render, routing_mark, transaction,
};
use mesh_cni_rules::istio::interception::{InboundCapture, Mode};
use mesh_cni_rules::istio::settings::Annotation;
use mesh_cni_rules::istio::{Dialect, Interception, OWNERSHIP, PodSettings, chains, compile};
use mesh_cni_rules::{Mesh, incomplete};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::as_saved;

fn ports() -> impl Strategy<Value = String> {
    let list = prop::collection::vec(1_u16..=u16::MAX, 0..6);
    list.prop_map(|ports| {
        ports
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(",")
    })
}

/// Ranges of ports, which only `init` takes.
fn port_ranges() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (any::<u16>(), any::<u16>())
        .prop_map(|(one, other)| PortRange::new(one.min(other), one.max(other)))
        .prop_filter_map("not all ports", |range| {
            range.filter(|range| *range != PortRange::ALL)
        });
    prop::collection::vec(range, 0..4)
}

fn ranges() -> impl Strategy<Value = String> {
    let v4 = (any::<[u8; 4]>(), 0_u8..=32)
        .prop_map(|(ip, prefix)| format!("{}/{prefix}", std::net::Ipv4Addr::from(ip)));
    let v6 = (any::<[u8; 16]>(), 0_u8..=128)
        .prop_map(|(ip, prefix)| format!("{}/{prefix}", std::net::Ipv6Addr::from(ip)));
    prop::collection::vec(prop_oneof![v4, v6], 0..5).prop_map(|ranges| ranges.join(","))
}

fn interfaces() -> impl Strategy<Value = String> {
    subsequence(vec!["eth1", "net1", "docker0", "br-+"], 0..=3).prop_map(|names| names.join(","))
}

fn valid_annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    use Annotation as A;
    let star = || Just("*".to_owned());
    let mode = select(vec!["REDIRECT".to_owned(), "TPROXY".to_owned()]);
    let each: Vec<(A, BoxedStrategy<String>)> = vec![
        (A::InterceptionMode, mode.boxed()),
        (A::IncludeInboundPorts, prop_oneof![star(), ports()].boxed()),
        (A::ExcludeInboundPorts, ports().boxed()),
        (A::IncludeOutboundPorts, ports().boxed()),
        (A::ExcludeOutboundPorts, ports().boxed()),
        (
            A::IncludeOutboundIpRanges,
            prop_oneof![star(), ranges()].boxed(),
        ),
        (A::ExcludeOutboundIpRanges, ranges().boxed()),
        (A::ExcludeInterfaces, interfaces().boxed()),
        (A::RerouteVirtualInterfaces, interfaces().boxed()),
    ];
    let (keys, values): (Vec<_>, Vec<_>) = each
        .into_iter()
        .map(|(annotation, value)| (annotation.key().to_owned(), prop::option::of(value)))
        .unzip();
    values.prop_map(move |values| {
        let pairs = keys.iter().cloned().zip(values);
        pairs
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    })
}

fn proxy_environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names = ["ISTIO_META_DNS_CAPTURE", "INVALID_DROP", "ISTIO_DUAL_STACK"];
    let chosen = subsequence(names.to_vec(), 0..=3);
    chosen.prop_map(|names| {
        let pairs = names.into_iter();
        pairs
            .map(|name| (name.to_owned(), "true".to_owned()))
            .collect()
    })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    select(vec![Dialect::Asm, Dialect::Istio])
}

fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::V4, Family::V6])
}

#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
fn resolved(
    annotations: &BTreeMap<String, String>,
    environment: &BTreeMap<String, String>,
) -> Interception {
    let settings = PodSettings {
        annotations: Some(annotations),
        proxy_env: Some(environment),
        ..PodSettings::default()
    };
    settings.resolve().unwrap().interception
}

fn any_interception() -> impl Strategy<Value = Interception> {
    let ranges = (port_ranges(), port_ranges(), port_ranges());
    let settings = (valid_annotations(), proxy_environment(), ranges);
    settings.prop_map(
        |(annotations, environment, (inbound, outbound, excluded))| {
            let mut interception = resolved(&annotations, &environment);
            match &mut interception.inbound {
                InboundCapture::AllExcept(ports) | InboundCapture::Only(ports) => {
                    ports.extend(inbound);
                }
                InboundCapture::None => {}
            }
            interception.outbound_ports.extend(outbound);
            interception.exclude_outbound_ports.extend(excluded);
            interception
        },
    )
}

proptest! {
    #[test]
    fn written_rules_are_parsed_without_drift(
        interception in any_interception(),
        dialect in dialect(),
        family in family(),
    ) {
        let rules = compile(&interception, dialect, family);
        let mut found = parse::save(&as_saved(&render::restore(&rules)), family).unwrap();
        // The programs of iptables do not know the routing.
        found.routing = rules.routing;
        prop_assert_eq!(drift(&rules, &found, &OWNERSHIP), None);
        prop_assert_eq!(transaction::replace(&rules, &found, &OWNERSHIP), "");
        prop_assert_eq!(compile(&interception, dialect, family), rules);
    }

    #[test]
    fn written_rules_are_complete(
        interception in any_interception(),
        dialect in dialect(),
        family in family(),
    ) {
        let rules = compile(&interception, dialect, family);
        let captures = |chain: &Chain| {
            let mut targets = chain.rules.iter().map(|rule| &rule.target);
            targets.any(|target| *target == Target::Jump(chains::REDIRECT))
        };
        let captures = rules.chain(TableName::Nat, &chains::OUTPUT_RULES).is_some_and(captures);
        prop_assert_eq!(incomplete(Mesh::Istio, &rules).is_none(), captures);
    }

    #[test]
    fn written_rules_are_ours(
        annotations in valid_annotations(),
        environment in proxy_environment(),
        dialect in dialect(),
        family in family(),
        mark in 1_u32..u32::MAX,
    ) {
        let settings = PodSettings {
            annotations: Some(&annotations),
            proxy_env: Some(&environment),
            ..PodSettings::default()
        };
        let mut interception = settings.resolve().unwrap().interception;
        if let Mode::Tproxy(routing) = &mut interception.mode {
            routing.mark = Mark::exact(mark);
        }
        let rules = compile(&interception, dialect, family);
        let found = parse::save(&as_saved(&render::restore(&rules)), family).unwrap();
        prop_assert_eq!(routing_mark(&found, &OWNERSHIP), rules.routing.map(|routing| routing.mark));
        let mut ours = only_ours(&found, &OWNERSHIP);
        ours.routing = rules.routing;
        prop_assert_eq!(drift(&rules, &ours, &OWNERSHIP), None);
    }

    #[test]
    fn a_listing_survives_both_layouts(annotations in valid_annotations()) {
        let settings = PodSettings { annotations: Some(&annotations), ..PodSettings::default() };
        let interception = settings.resolve().unwrap().interception;
        let rules = compile(&interception, Dialect::Asm, Family::V4);
        let listing = Listing::of(&rules, TableName::Nat, &OWNERSHIP);
        for layout in [Layout::Aligned, Layout::Folded] {
            prop_assert_eq!(&Listing::parse(&listing.print(layout)).unwrap(), &listing);
        }
    }

    #[test]
    fn no_annotation_panics(values in prop::collection::vec("\\PC*", 11)) {
        let keys = Annotation::ALL.iter().map(|annotation| annotation.key().to_owned());
        let annotations = keys.zip(values).collect();
        let settings = PodSettings { annotations: Some(&annotations), ..PodSettings::default() };
        let _outcome = settings.resolve();
    }

    #[test]
    fn no_item_is_lost(items in prop::collection::vec("[0-9a-z ]{0,6}", 1..6)) {
        let text = items.join(",");
        let key = Annotation::ExcludeOutboundPorts.key().to_owned();
        let annotations = BTreeMap::from([(key, text.clone())]);
        let settings = PodSettings { annotations: Some(&annotations), ..PodSettings::default() };
        if let Ok(resolved) = settings.resolve() {
            let ports = resolved.interception.exclude_outbound_ports;
            let asked = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            for item in asked {
                let number: u16 = item.parse().unwrap();
                prop_assert!(ports.iter().any(|port| port.single().map(Port::get) == Some(number)));
            }
        }
    }
}
