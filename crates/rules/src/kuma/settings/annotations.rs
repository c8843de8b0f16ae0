//! Single annotations, which the injector of Kuma 2 writes in pods without the configuration
//! annotation.

use std::collections::BTreeMap;

use mesh_cni_netfilter::value::InvalidValue;
use mesh_cni_netfilter::{Port, Uid};

use super::exclusion::exclusions;
use super::{List, address_or_network};
use crate::istio::interception::DnsCapture;
use crate::kuma::interception::Interception;
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{InvalidItem, list, single};

/// The port of Envoy's administration, which is excluded if no annotation sets the excluded ports.
const ADMIN_PORT: Port = Port::constant(9901);
/// The port of the proxy for probes of the application.
const PROBE_PORT: Port = Port::constant(9001);

const EXPECTED_FAMILIES: &str = "a mode for address families: allowed are `dualstack` and `ipv4`";
const EXPECTED_SWITCH: &str =
    "a switch: allowed are `enabled`, `disabled`, `true`, `false`, `yes` and `no`";
const EXPECTED_PORT_OR_NONE: &str =
    "a port: allowed are whole numbers from 1 to 65535, and 0 for none";
/// The kernel's level for debug messages.
const LOG_LEVEL: u8 = 7;

/// The annotations of the pod.
#[derive(Clone, Copy)]
struct Annotations<'pod>(Option<&'pod BTreeMap<String, String>>);

pub(super) fn resolve(
    annotations: Option<&BTreeMap<String, String>>,
) -> Result<Interception, InvalidSetting> {
    let found = Annotations(annotations);
    let mut to = Interception::pod_default();
    let outbound = found.port("kuma.io/transparent-proxying-outbound-port")?;
    to.outbound.port = outbound.unwrap_or(to.outbound.port);
    let inbound = found.port("kuma.io/transparent-proxying-inbound-port")?;
    to.inbound.port = inbound.unwrap_or(to.inbound.port);
    let families = found.one(
        "kuma.io/transparent-proxying-ip-family-mode",
        |mode| match mode {
            "dualstack" => Ok(true),
            "ipv4" => Ok(false),
            _ => Err(InvalidValue {
                expected: EXPECTED_FAMILIES,
            }),
        },
    )?;
    to.dual_stack = families.unwrap_or(to.dual_stack);
    to.inbound.enabled = !found.switch("kuma.io/gateway")?;
    if found.switch("kuma.io/builtin-dns")? {
        to.dns = DnsCapture::All;
    }
    to.dns_port = found
        .port("kuma.io/builtin-dns-port")?
        .unwrap_or(to.dns_port);
    let user = found.one("kuma.io/sidecar-uid", str::parse::<Uid>)?;
    to.proxy_uid = user.unwrap_or(to.proxy_uid);
    read_lists(found, &mut to)?;
    to.drop_invalid = found.switch("traffic.kuma.io/drop-invalid-packets")?;
    to.log_level = found
        .switch("traffic.kuma.io/iptables-logs")?
        .then_some(LOG_LEVEL);
    Ok(to)
}

fn read_lists(found: Annotations<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let ports = |of: List| found.list(of, str::parse::<Port>);
    let excluded = ports(List::ExcludeInboundPorts)?;
    to.inbound.exclude_ports = excluded.unwrap_or_else(|| vec![ADMIN_PORT]);
    let probes = found.one("kuma.io/application-probe-proxy-port", |text| match text {
        "0" => Ok(None),
        text => text.parse().map(Some).or(Err(InvalidValue {
            expected: EXPECTED_PORT_OR_NONE,
        })),
    })?;
    let probes = probes.unwrap_or(Some(PROBE_PORT));
    let known = &to.inbound.exclude_ports;
    let probes = probes.filter(|port| !known.contains(port));
    to.inbound.exclude_ports.extend(probes);
    let excluded = ports(List::ExcludeOutboundPorts)?;
    to.outbound.exclude_ports = excluded.unwrap_or_else(|| vec![ADMIN_PORT]);
    let networks = |of: List| found.list(of, address_or_network);
    to.inbound.exclude_networks = networks(List::ExcludeInboundIps)?.unwrap_or_default();
    to.outbound.exclude_networks = networks(List::ExcludeOutboundIps)?.unwrap_or_default();
    let users = List::ExcludeOutboundForUids;
    to.excluded_users = found
        .read(users.annotation().unwrap_or_default(), |text| {
            let items = text
                .split(';')
                .map(str::trim)
                .filter(|_| !text.trim().is_empty());
            let found: Result<Vec<_>, _> = items.map(|item| exclusions(text, item)).collect();
            Ok(found?.concat())
        })?
        .unwrap_or_default();
    Ok(())
}

impl Annotations<'_> {
    fn read<T>(
        self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.0.and_then(|all| all.get(key)) else {
            return Ok(None);
        };
        let parsed = parse(value)
            .map_err(|problem| InvalidSetting::new(SettingName::Annotation(key), value, problem))?;
        Ok(Some(parsed))
    }

    fn one<T>(
        self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<T>, InvalidSetting> {
        self.read(key, |value| single(value, parse))
    }

    fn port(self, key: &'static str) -> Result<Option<Port>, InvalidSetting> {
        self.one(key, str::parse)
    }

    /// An absent switch is off. Kuma ignores the case of letters.
    fn switch(self, key: &'static str) -> Result<bool, InvalidSetting> {
        let switch = self.one(key, |text| match text.to_ascii_lowercase().as_str() {
            "enabled" | "true" | "yes" => Ok(true),
            "disabled" | "false" | "no" => Ok(false),
            _ => Err(InvalidValue {
                expected: EXPECTED_SWITCH,
            }),
        })?;
        Ok(switch.unwrap_or(false))
    }

    fn list<T: Ord + Clone>(
        self,
        of: List,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<Vec<T>>, InvalidSetting> {
        match of.annotation() {
            Some(key) => self.read(key, |value| list(value, parse)),
            None => Ok(None),
        }
    }
}
