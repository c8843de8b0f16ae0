//! Fields of the configuration that are none of Kuma's.

use mesh_cni_netfilter::value::excerpt;
use serde_json::Value;

use super::CONFIG_ANNOTATION;
use crate::warning::{Warning, WarningCode};

/// The most fields that are named in warnings.
const MAX_NAMED: usize = 8;

/// The fields of Kuma 2.14 and 3, each with the fields in it. Those that configure how Kuma's own program runs have no
/// effect here.
const KNOWN: [&str; 36] = [
    "cniMode",
    "comments.disabled",
    "dropInvalidPackets",
    "dryRun",
    "ebpf",
    "ipFamilyMode",
    "iptablesExecutables",
    "kumaDPUser",
    "log.enabled",
    "log.level",
    "redirect.dns.captureAll",
    "redirect.dns.enabled",
    "redirect.dns.port",
    "redirect.dns.resolvConfigPath",
    "redirect.dns.skipConntrackZoneSplit",
    "redirect.inbound.enabled",
    "redirect.inbound.excludePorts",
    "redirect.inbound.excludePortsForIPs",
    "redirect.inbound.excludePortsForUIDs",
    "redirect.inbound.includePorts",
    "redirect.inbound.insertRedirectInsteadOfAppend",
    "redirect.inbound.port",
    "redirect.outbound.enabled",
    "redirect.outbound.excludePorts",
    "redirect.outbound.excludePortsForIPs",
    "redirect.outbound.excludePortsForUIDs",
    "redirect.outbound.includePorts",
    "redirect.outbound.insertRedirectInsteadOfAppend",
    "redirect.outbound.port",
    "redirect.vnet.networks",
    "retry.maxRetries",
    "retry.sleepBetweenRetries",
    "storeFirewalld",
    "verbose",
    "wait",
    "waitInterval",
];

/// A warning for each unknown field.
pub(super) fn warnings(config: &Value) -> Vec<Warning> {
    let mut unknown = Vec::new();
    find(config, "", &mut unknown);
    unknown
        .into_iter()
        .map(|path| {
            let path = excerpt(&path, 1);
            let message = format!(
                "field {path} of annotation {CONFIG_ANNOTATION} is not a setting and has no effect"
            );
            Warning::new(WarningCode::UnknownSetting, message)
        })
        .collect()
}

fn find(value: &Value, parent: &str, unknown: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = match parent {
            "" => key.clone(),
            parent => format!("{parent}.{key}"),
        };
        if unknown.len() >= MAX_NAMED || KNOWN.contains(&path.as_str()) {
            continue;
        }
        let is_parent = |known: &&str| {
            let rest = known.strip_prefix(path.as_str());
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        if KNOWN.iter().any(is_parent) {
            find(value, &path, unknown);
        } else {
            unknown.push(path);
        }
    }
}
