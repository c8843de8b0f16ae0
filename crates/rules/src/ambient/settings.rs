//! The settings of a pod in ambient mode: its annotations, and what the cluster configures.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_cni_netfilter::InterfaceName;
use mesh_cni_netfilter::value::InvalidValue;

use super::conventions::{PROBE_SOURCE_V4, PROBE_SOURCE_V6};
use super::interception::{EarlierConnections, Interception};
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{InvalidItem, boolean, list, single};

const EXPECTED_BOOLEAN: &str = "a boolean: allowed are `true` and `false`";

/// Each interface causes four rules, two in each family.
const MAX_INTERFACES: usize = 256;
const EXPECTED_INTERFACE: &str = "an interface within the limit: at most 256 interfaces";

/// An annotation that configures the interception of an ambient pod. Those of sidecars have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Annotation {
    /// `ambient.istio.io/dns-capture`: a boolean, which overrides [`Settings::dns`].
    DnsCapture,
    /// `ambient.istio.io/bypass-inbound-capture`: a boolean.
    BypassInboundCapture,
    /// `istio.io/reroute-virtual-interfaces`: interface names.
    RerouteVirtualInterfaces,
}

impl Annotation {
    /// Every annotation.
    pub const ALL: [Self; 3] = [
        Self::DnsCapture,
        Self::BypassInboundCapture,
        Self::RerouteVirtualInterfaces,
    ];

    /// The key.
    pub fn key(self) -> &'static str {
        match self {
            Self::DnsCapture => "ambient.istio.io/dns-capture",
            Self::BypassInboundCapture => "ambient.istio.io/bypass-inbound-capture",
            Self::RerouteVirtualInterfaces => "istio.io/reroute-virtual-interfaces",
        }
    }
}

/// Everything that configures the interception of an ambient pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings<'pod> {
    /// The pod's annotations.
    pub annotations: Option<&'pod BTreeMap<String, String>>,
    /// Whether DNS queries of pods without the annotation go to ztunnel.
    pub dns: bool,
    /// The source addresses of the node's probes.
    pub probe_sources: (Ipv4Addr, Ipv6Addr),
    /// Whether pods with an IPv6 address get IPv6 rules.
    pub ipv6: bool,
    /// Connections from before the rules.
    pub earlier_connections: EarlierConnections,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            annotations: None,
            dns: true,
            probe_sources: (PROBE_SOURCE_V4, PROBE_SOURCE_V6),
            ipv6: true,
            earlier_connections: EarlierConnections::default(),
        }
    }
}

impl Settings<'_> {
    /// The interception that these settings configure.
    ///
    /// Fails at the first invalid setting, with its name, its value and the position. Istio's agent
    /// ignores a value that is not a boolean.
    pub fn resolve(&self) -> Result<Interception, InvalidSetting> {
        let dns = self.read(Annotation::DnsCapture, flag)?;
        let bypass = self.read(Annotation::BypassInboundCapture, flag)?;
        let interfaces = self.read(Annotation::RerouteVirtualInterfaces, interfaces)?;
        Ok(Interception {
            dns: dns.unwrap_or(self.dns),
            bypass_inbound: bypass.unwrap_or_default(),
            reroute_interfaces: interfaces.unwrap_or_default(),
            probe_sources: self.probe_sources,
            ipv6: self.ipv6,
            earlier_connections: self.earlier_connections,
        })
    }

    /// The value of an annotation, if the pod has it.
    fn read<T>(
        &self,
        annotation: Annotation,
        parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
    ) -> Result<Option<T>, InvalidSetting> {
        let key = annotation.key();
        let Some(value) = self.annotations.and_then(|of_pod| of_pod.get(key)) else {
            return Ok(None);
        };
        let invalid = |problem| InvalidSetting::new(SettingName::Annotation(key), value, problem);
        parse(value).map(Some).map_err(invalid)
    }
}

fn flag(text: &str) -> Result<bool, InvalidItem> {
    single(text, |value| {
        boolean(value).ok_or(InvalidValue {
            expected: EXPECTED_BOOLEAN,
        })
    })
}

fn interfaces(text: &str) -> Result<Vec<InterfaceName>, InvalidItem> {
    let left = Cell::new(MAX_INTERFACES);
    list(text, |name| {
        let before = left.replace(left.get().saturating_sub(1));
        let within_limit = before.checked_sub(1).ok_or(InvalidValue {
            expected: EXPECTED_INTERFACE,
        });
        within_limit.and_then(|_left| name.parse())
    })
}
