//! The settings of a Kuma pod: its configuration in one annotation, or single annotations.

mod annotations;
mod budget;
mod config;
mod document;
mod exclusion;
mod unknown;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::{InvalidValue, network};
use mesh_cni_netfilter::{Family, InterfaceName};
use mesh_cni_selector::{ManifestError, annotation_document};
use serde_json::Value;
use thiserror::Error;

use super::interception::{Flow, Interception, VirtualNetwork};
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{InvalidItem, invalid};
use crate::warning::{Warning, WarningCode};

/// The annotation with the whole configuration, a YAML document. Kuma writes it in each pod since version 3,
/// and in version 2 with `transparentProxy.configMap.enabled`.
pub const CONFIG_ANNOTATION: &str = "traffic.kuma.io/transparent-proxy-config";

/// Ports of the proxy for its administration, readiness and probes. The injector excludes them in each
/// pod.
const PROXY_PORTS: [u16; 3] = [9901, 9902, 9001];

/// Everything in a pod that configures its interception.
#[derive(Clone, Copy, Debug, Default)]
pub struct PodSettings<'pod> {
    /// The pod's annotations.
    pub annotations: Option<&'pod BTreeMap<String, String>>,
    /// The document in the annotation [`CONFIG_ANNOTATION`], as [`config`] reads it. With it, the other
    /// annotations have no effect.
    pub config: Option<&'pod Value>,
    /// The servers in the pod's `/etc/resolv.conf`, whose queries are captured with `redirect.dns.enabled` and
    /// without `captureAll`. If they are not known, these settings are refused.
    pub dns_servers: &'pod [IpAddr],
}

/// The annotation with the configuration is not a readable document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("annotation {CONFIG_ANNOTATION} is not readable")]
pub struct UnreadableConfig(#[from] ManifestError);

/// An interception, with warnings about its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What to capture.
    pub interception: Interception,
    /// What is unusual about the settings.
    pub warnings: Vec<Warning>,
}

impl PodSettings<'_> {
    /// The interception that these settings configure.
    ///
    /// Fails at the first invalid setting, with its name, its value and the position.
    pub fn resolve(&self) -> Result<Resolved, InvalidSetting> {
        let mut warnings = Vec::new();
        let interception = match self.config {
            Some(config) => config::resolve(config, self.dns_servers, &mut warnings)?,
            None => annotations::resolve(self.annotations)?,
        };
        for (flow, list) in [
            (&interception.inbound, List::ExcludeInboundPorts),
            (&interception.outbound, List::ExcludeOutboundPorts),
        ] {
            warnings.extend(self.without_effect(flow, list));
        }
        Ok(Resolved {
            interception,
            warnings,
        })
    }

    /// A warning for each list of excluded addresses of which some are of a family without rules.
    pub fn check_families(&self, interception: &Interception, families: &[Family]) -> Vec<Warning> {
        let lists = [
            (&interception.inbound, List::ExcludeInboundIps),
            (&interception.outbound, List::ExcludeOutboundIps),
        ];
        let warning = |(flow, list): (&Flow, List)| {
            let mut networks = flow.exclude_networks.iter();
            let unused = networks.find(|network| !families.contains(&Family::of(network)))?;
            let name = self.name_of(list);
            let family = Family::of(unused);
            let message =
                format!("{name}: `{unused}` has no effect: the pod gets no {family} rules");
            Some(Warning::new(WarningCode::SettingWithoutEffect, message))
        };
        lists.into_iter().filter_map(warning).collect()
    }

    /// A warning if excluded ports have no effect, except for those of the proxy.
    fn without_effect(&self, flow: &Flow, list: List) -> Option<Warning> {
        let mut excluded = flow.exclude_ports.iter();
        let is_useless = flow.enabled
            && !flow.include_ports.is_empty()
            && excluded.any(|port| !PROXY_PORTS.contains(&port.get()));
        is_useless.then(|| {
            let name = self.name_of(list);
            let message = format!("{name} has no effect: only the included ports are captured");
            Warning::new(WarningCode::SettingWithoutEffect, message)
        })
    }

    /// The name of a list where this pod has it.
    fn name_of(&self, list: List) -> SettingName {
        match (self.config, list.annotation()) {
            (None, Some(annotation)) => SettingName::Annotation(annotation),
            _ => field(list.path()),
        }
    }
}

/// Reads the configuration from the annotation [`CONFIG_ANNOTATION`]; `None` if it is absent or empty.
pub fn config(annotations: &BTreeMap<String, String>) -> Result<Option<Value>, UnreadableConfig> {
    let text = annotations.get(CONFIG_ANNOTATION);
    let document = text.map(|text| annotation_document(text)).transpose()?;
    Ok(document.flatten())
}

/// A list that causes a rule for each of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    IncludeInboundPorts,
    ExcludeInboundPorts,
    ExcludeInboundIps,
    IncludeOutboundPorts,
    ExcludeOutboundPorts,
    ExcludeOutboundIps,
    ExcludeOutboundForUids,
    VirtualNetworks,
}

impl List {
    /// The path of the field in the configuration.
    fn path(self) -> &'static str {
        match self {
            Self::IncludeInboundPorts => "redirect.inbound.includePorts",
            Self::ExcludeInboundPorts => "redirect.inbound.excludePorts",
            Self::ExcludeInboundIps => "redirect.inbound.excludePortsForIPs",
            Self::IncludeOutboundPorts => "redirect.outbound.includePorts",
            Self::ExcludeOutboundPorts => "redirect.outbound.excludePorts",
            Self::ExcludeOutboundIps => "redirect.outbound.excludePortsForIPs",
            Self::ExcludeOutboundForUids => "redirect.outbound.excludePortsForUIDs",
            Self::VirtualNetworks => "redirect.vnet.networks",
        }
    }

    /// The annotation for it alone, if Kuma has one.
    fn annotation(self) -> Option<&'static str> {
        Some(match self {
            Self::ExcludeInboundPorts => "traffic.kuma.io/exclude-inbound-ports",
            Self::ExcludeInboundIps => "traffic.kuma.io/exclude-inbound-ips",
            Self::ExcludeOutboundPorts => "traffic.kuma.io/exclude-outbound-ports",
            Self::ExcludeOutboundIps => "traffic.kuma.io/exclude-outbound-ips",
            Self::ExcludeOutboundForUids => "traffic.kuma.io/exclude-outbound-ports-for-uids",
            Self::IncludeInboundPorts | Self::IncludeOutboundPorts | Self::VirtualNetworks => {
                return None;
            }
        })
    }
}

/// The name of a field of the configuration.
fn field(path: &'static str) -> SettingName {
    SettingName::InAnnotation {
        annotation: CONFIG_ANNOTATION,
        path,
        index: None,
    }
}

/// An address, or a range of addresses with a prefix length.
fn address_or_network(text: &str) -> Result<IpNetwork, InvalidValue> {
    const EXPECTED: &str =
        "an address or a range of addresses: allowed are such as 10.0.0.1, 10.0.0.0/8 or fd00::/8";
    let address = text.parse::<IpAddr>().map(IpNetwork::from);
    address
        .or_else(|_| network(text))
        .or(Err(InvalidValue { expected: EXPECTED }))
}

/// `INTERFACE:CIDR`; `item` must be a slice of `text`.
fn virtual_network(text: &str, item: &str) -> Result<VirtualNetwork, InvalidItem> {
    const EXPECTED: &str = "a virtual network: allowed are an interface and its range of addresses, \
        such as docker0:172.17.0.0/16";
    let (interface, range) = item
        .split_once(':')
        .ok_or_else(|| invalid(text, item, EXPECTED))?;
    let of = |part| move |error: InvalidValue| invalid(text, part, error.expected);
    Ok(VirtualNetwork {
        interface: interface.parse::<InterfaceName>().map_err(of(interface))?,
        network: network(range).map_err(of(range))?,
    })
}
