//! The configuration in the annotation `traffic.kuma.io/transparent-proxy-config`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_cni_netfilter::{Family, Port, Uid};
use serde_json::Value;

use super::document::{Document, wrong};
use super::exclusion::exclusions;
use super::{CONFIG_ANNOTATION, List, address_or_network, field, virtual_network};
use crate::istio::interception::DnsCapture;
use crate::kuma::interception::{Flow, Interception, VirtualNetwork};
use crate::setting::{InvalidSetting, SettingName};
use crate::value::single;
use crate::warning::{Warning, WarningCode};

const DNS_ENABLED: &str = "redirect.dns.enabled";
const DNS_PORT: &str = "redirect.dns.port";
const INBOUND_UIDS: &str = "redirect.inbound.excludePortsForUIDs";

/// Booleans that must not be true, and why.
const REFUSED: [(&str, &str); 4] = [
    (
        "dryRun",
        "allowed: Kuma's programs would succeed and write no rules, and the pod would start without redirection; \
         remove it",
    ),
    (
        "comments.disabled",
        "allowed: rules of Kuma in built-in chains are recognized by their comments; remove it",
    ),
    (
        "ebpf.enabled",
        "supported: the redirection is by netfilter rules, not by eBPF programs; remove it",
    ),
    (
        "storeFirewalld",
        "supported: a pod has no firewalld that could restore its rules; remove it",
    ),
];

const EXPECTED_INBOUND_UIDS: &str = "supported: the rule that Kuma writes for it excludes all inbound \
    connections from the redirection; leave it empty, and list ports in redirect.inbound.excludePorts";
const EXPECTED_DNS_SERVERS: &str = "supported without redirect.dns.captureAll: the DNS servers of the pod are not \
    known; set redirect.dns.captureAll to true, or, if its dnsPolicy is ClusterFirst, field cluster_dns in the entry of \
    mesh-cni";
const EXPECTED_DNS_PORT: &str = "a port: allowed are whole numbers from 1 to 65535, without quotes, and 0 without \
    redirect.dns.enabled and redirect.vnet.networks";
const EXPECTED_CONFIG: &str = "an object with the fields of Kuma's configuration";
const EXPECTED_FAMILIES: &str = "a mode for address families: allowed are `dualstack` and `ipv4`";
const EXPECTED_LEVEL: &str = "a log level of the kernel: allowed are whole numbers from 0 to 7";

pub(super) fn resolve(
    config: &Value,
    dns_servers: &[IpAddr],
    warnings: &mut Vec<Warning>,
) -> Result<Interception, InvalidSetting> {
    if !(config.is_object() || config.is_null()) {
        let annotation = SettingName::Annotation(CONFIG_ANNOTATION);
        return Err(wrong(annotation, config, EXPECTED_CONFIG));
    }
    let document = Document(config);
    refuse(document)?;
    let mut to = Interception::pod_default();
    let read_user = |user: &str| single(user, str::parse::<Uid>);
    if let Some(user) = document.word("kumaDPUser", Uid::EXPECTED, read_user)? {
        to.proxy_uid = user;
    }
    let families = document.word("ipFamilyMode", EXPECTED_FAMILIES, |mode| {
        let is_known = matches!(mode, "dualstack" | "ipv4");
        let invalid = || crate::value::invalid(mode, mode, EXPECTED_FAMILIES);
        is_known.then(|| mode == "dualstack").ok_or_else(invalid)
    })?;
    to.dual_stack = families.unwrap_or(to.dual_stack);
    read_inbound(document, &mut to.inbound)?;
    read_outbound(document, &mut to)?;
    to.virtual_networks = virtual_networks(document, warnings)?;
    read_dns(document, dns_servers, &mut to)?;
    to.drop_invalid = document.flag("dropInvalidPackets")?;
    let level = document.number("log.level", 0..=7, EXPECTED_LEVEL)?;
    let level = level.and_then(|level| u8::try_from(level).ok());
    to.log_level = document.flag("log.enabled")?.then(|| level.unwrap_or(7));
    // The answers have the zone of the pod's own queries, and those of a virtual network have none.
    if to.dns != DnsCapture::Off && to.separate_zones && !to.virtual_networks.is_empty() {
        let message = format!(
            "{}: answers to DNS queries of a virtual network are lost; set \
             redirect.dns.skipConntrackZoneSplit to true",
            field(List::VirtualNetworks.path())
        );
        warnings.push(Warning::new(WarningCode::SettingWithoutEffect, message));
    }
    warnings.extend(super::unknown::warnings(config));
    Ok(to)
}

fn refuse(document: Document<'_>) -> Result<(), InvalidSetting> {
    for (path, expected) in REFUSED {
        if document.flag(path)? {
            return Err(wrong(field(path), &Value::Bool(true), expected));
        }
    }
    document.items(INBOUND_UIDS, None, |item| {
        Err(item.invalid(EXPECTED_INBOUND_UIDS))
    })
}

fn read_inbound(document: Document<'_>, flow: &mut Flow) -> Result<(), InvalidSetting> {
    flow.enabled = document
        .boolean("redirect.inbound.enabled")?
        .unwrap_or(true);
    flow.port = document.port("redirect.inbound.port")?.unwrap_or(flow.port);
    flow.include_ports = document.list(List::IncludeInboundPorts.path(), str::parse)?;
    flow.exclude_ports = document.list(List::ExcludeInboundPorts.path(), str::parse)?;
    flow.exclude_networks = document.list(List::ExcludeInboundIps.path(), address_or_network)?;
    flow.insert = document.flag("redirect.inbound.insertRedirectInsteadOfAppend")?;
    Ok(())
}

fn read_outbound(document: Document<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let flow = &mut to.outbound;
    flow.enabled = document
        .boolean("redirect.outbound.enabled")?
        .unwrap_or(true);
    flow.port = document
        .port("redirect.outbound.port")?
        .unwrap_or(flow.port);
    flow.include_ports = document.list(List::IncludeOutboundPorts.path(), str::parse)?;
    flow.exclude_ports = document.list(List::ExcludeOutboundPorts.path(), str::parse)?;
    flow.exclude_networks = document.list(List::ExcludeOutboundIps.path(), address_or_network)?;
    flow.insert = document.flag("redirect.outbound.insertRedirectInsteadOfAppend")?;
    document.items(List::ExcludeOutboundForUids.path(), None, |item| {
        let found = exclusions(item.text, item.value).map_err(|problem| item.error(problem))?;
        to.excluded_users.extend(found);
        Ok(())
    })
}

fn read_dns(
    document: Document<'_>,
    servers: &[IpAddr],
    to: &mut Interception,
) -> Result<(), InvalidSetting> {
    let enabled = document.flag(DNS_ENABLED)?;
    let all = document.flag("redirect.dns.captureAll")?;
    to.dns = match (enabled, all, servers) {
        (false, ..) => DnsCapture::Off,
        (true, true, _) => DnsCapture::All,
        (true, false, []) => {
            let enabled = field(DNS_ENABLED);
            return Err(wrong(enabled, &Value::Bool(true), EXPECTED_DNS_SERVERS));
        }
        (true, false, servers) => DnsCapture::Servers(servers.to_vec()),
    };
    to.separate_zones = !document.flag("redirect.dns.skipConntrackZoneSplit")?;
    // Where built-in DNS is off, the injector may write 0.
    let least = u16::from(enabled || !to.virtual_networks.is_empty());
    let port = document.number(DNS_PORT, least..=u16::MAX, EXPECTED_DNS_PORT)?;
    to.dns_port = port.and_then(Port::new).unwrap_or(to.dns_port);
    Ok(())
}

/// One network for each interface and family, as in Kuma: the last one counts.
fn virtual_networks(
    document: Document<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<VirtualNetwork>, InvalidSetting> {
    let list = List::VirtualNetworks;
    let mut networks = BTreeMap::new();
    document.items(list.path(), None, |item| {
        let found = virtual_network(item.text, item.value).map_err(|problem| item.error(problem))?;
        let key = (found.interface.clone(), Family::of(&found.network));
        if let Some(VirtualNetwork { interface, network }) = networks.insert(key, found.clone())
            && network != found.network
        {
            let message = format!(
                "{}: `{interface}:{network}` has no effect: Kuma has one network for each interface, and `{}` is \
                 after it",
                field(list.path()),
                item.value
            );
            warnings.push(Warning::new(WarningCode::SettingWithoutEffect, message));
        }
        Ok(())
    })?;
    Ok(networks.into_values().collect())
}
