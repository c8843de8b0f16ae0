//! Pod settings: named and random ones.

use std::collections::BTreeMap;

use mesh_cni_netfilter::value::PortRange;
use mesh_cni_rules::istio::{Interception, PodSettings};
use proptest::prelude::*;

pub(crate) fn interception(annotations: &[(&str, String)], env: &[(&str, &str)]) -> Interception {
    let annotations: BTreeMap<_, _> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let settings = PodSettings {
        annotations: Some(&annotations),
        proxy_env: Some(&env),
        ..PodSettings::default()
    };
    settings.resolve().unwrap().interception
}

/// The pod of the document.
pub(crate) fn documented() -> Interception {
    let key = |name: &'static str, value: &str| (name, value.to_owned());
    interception(
        &[
            key("traffic.sidecar.istio.io/excludeInboundPorts", "22,15020"),
            key("traffic.sidecar.istio.io/excludeOutboundPorts", "15020"),
            key(
                "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                "192.168.0.1/32",
            ),
        ],
        &[],
    )
}

/// TPROXY, DNS capture and dropped invalid packets.
pub(crate) fn everything() -> Interception {
    interception(
        &[
            ("sidecar.istio.io/interceptionMode", "TPROXY".to_owned()),
            (
                "traffic.sidecar.istio.io/excludeInterfaces",
                "net1".to_owned(),
            ),
            ("istio.io/reroute-virtual-interfaces", "docker0".to_owned()),
            (
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                "10.0.0.0/8,172.16.0.0/12,2001:db8::/33".to_owned(),
            ),
        ],
        &[("ISTIO_META_DNS_CAPTURE", "true"), ("INVALID_DROP", "true")],
    )
}

fn ports() -> impl Strategy<Value = String> {
    let port = 1_u16..=65_535;
    prop::collection::vec(port, 0..40).prop_map(|ports| {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        ports.join(",")
    })
}

fn ranges() -> impl Strategy<Value = String> {
    let four = (any::<u32>(), 0_u8..=32)
        .prop_map(|(address, prefix)| format!("{}/{prefix}", std::net::Ipv4Addr::from(address)));
    let six = (any::<u128>(), 0_u8..=128)
        .prop_map(|(address, prefix)| format!("{}/{prefix}", std::net::Ipv6Addr::from(address)));
    prop::collection::vec(prop_oneof![four, six], 0..20).prop_map(|ranges| ranges.join(","))
}

fn port_ranges() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (any::<u16>(), any::<u16>()).prop_map(|(one, other)| {
        PortRange::new(one.min(other), one.max(other)).expect("the smaller port comes first")
    });
    prop::collection::vec(range, 0..6)
}

/// Random settings with lists of any length.
pub(crate) fn any_interception() -> impl Strategy<Value = Interception> {
    let mode = prop::sample::select(vec!["REDIRECT", "TPROXY"]);
    let lists = (ports(), ports(), ports(), ranges(), ranges());
    let settings = (mode, lists, any::<(bool, bool)>(), port_ranges());
    settings.prop_map(|(mode, lists, (dns, invalid), port_ranges)| {
        let (inbound, outbound, include, exclude, cidrs) = lists;
        let key = |name| format!("traffic.sidecar.istio.io/{name}");
        let annotations = [
            ("sidecar.istio.io/interceptionMode".to_owned(), mode.into()),
            (key("excludeInboundPorts"), inbound),
            (key("excludeOutboundPorts"), outbound),
            (key("includeOutboundPorts"), include),
            (key("excludeOutboundIPRanges"), exclude),
            (key("includeOutboundIPRanges"), cidrs),
        ];
        let annotations: Vec<_> = annotations
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        let env_value = |set: bool| if set { "true" } else { "false" };
        let env = [
            ("ISTIO_META_DNS_CAPTURE", env_value(dns)),
            ("INVALID_DROP", env_value(invalid)),
        ];
        let mut interception = interception(&annotations, &env);
        // Only `init` takes ranges.
        interception.exclude_outbound_ports.extend(port_ranges);
        interception
    })
}
