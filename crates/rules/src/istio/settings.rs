//! The settings of a pod, in its annotations and its proxy's container.

mod annotation;
mod budget;
mod reader;
mod unknown;

pub use annotation::Annotation;

use std::cell::Cell;
use std::collections::BTreeMap;

use mesh_cni_netfilter::value::{InvalidValue, network};
use mesh_cni_netfilter::{Family, Gid, InterfaceName, Port, PortRange, Uid};

use crate::istio::interception::{
    DnsCapture, InboundCapture, Interception, Mode, OutboundRanges, agent_ports,
};
use crate::limit::MAX_RULES;
use crate::setting::{InvalidSetting, SettingName};
use crate::value::Selected;
use crate::warning::{Warning, WarningCode};
use reader::{Reader, Setting, owner, single_port};

/// A pod in mode `NONE` gets no rules, so its settings are not read.
const EXPECTED_MODE: &str =
    "an interception mode: allowed are `REDIRECT`, `TPROXY` and `NONE` in capital letters";
const EXPECTED_PORT_OR_NONE: &str =
    "a port: allowed are whole numbers from 1 to 65535, and 0 for none";
/// Each rerouted interface and captured range cause a rule, so they are limited before these rules
/// are compiled: by [`MAX_RULES`].
const EXPECTED_REROUTING: &str = "an interface within the limit: rerouted interfaces times \
    ranges in traffic.sidecar.istio.io/includeOutboundIPRanges must be at most 2000";
/// Environment variable of the proxy: capture DNS.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";
/// Environment variable of the proxy: drop packets that belong to no connection.
const INVALID_DROP: &str = "INVALID_DROP";
/// Environment variable of the proxy: write rules for both families.
const DUAL_STACK: &str = "ISTIO_DUAL_STACK";

/// Everything in a pod that configures its interception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSettings<'pod> {
    /// The pod's annotations.
    pub annotations: Option<&'pod BTreeMap<String, String>>,
    /// Defaults by the same keys, for annotations that the pod does not have.
    pub defaults: Option<&'pod BTreeMap<String, String>>,
    /// The environment of the proxy's container, without references to other objects.
    pub proxy_env: Option<&'pod BTreeMap<String, String>>,
    /// `securityContext.runAsUser` of the proxy's container.
    pub run_as_user: Option<i64>,
    /// `securityContext.runAsGroup` of the proxy's container.
    pub run_as_group: Option<i64>,
}

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
        let mut reader = Reader::new(self);
        let mut interception = Interception::pod_default();
        self.read_owners(&mut interception)?;
        let excluded_inbound = read_inbound(&reader, &mut interception)?;
        read_outbound(&reader, &mut interception)?;
        read_interfaces(&reader, &mut interception)?;
        reader.single(Annotation::StatusPort, port_or_none)?;
        if reader.flag(DNS_CAPTURE) {
            interception.dns = DnsCapture::All;
        }
        interception.drop_invalid = reader.flag(INVALID_DROP);
        interception.dual_stack = reader.flag(DUAL_STACK);
        let mut warnings = without_effect(&reader, &interception, &excluded_inbound);
        warnings.extend(self.unknown());
        warnings.append(&mut reader.warnings);
        Ok(Resolved {
            interception,
            warnings,
        })
    }

    /// Checks that the ranges are of the families for which rules are written. Returns a warning for
    /// each setting with others.
    ///
    /// Lists are often the same for the whole mesh, with ranges of both families, so a range of the
    /// other family is a warning. It is an error if an annotation of the pod includes ranges and none
    /// of them is supported.
    pub fn check_families(&self, families: &[Family]) -> Result<Vec<Warning>, InvalidSetting> {
        let reader = Reader::new(self);
        let mut warnings = Vec::new();
        for annotation in [
            Annotation::IncludeOutboundIpRanges,
            Annotation::ExcludeOutboundIpRanges,
        ] {
            let Some((Setting { setting, value }, unsupported)) =
                reader.unsupported(annotation, families)
            else {
                continue;
            };
            let is_required = annotation == Annotation::IncludeOutboundIpRanges
                && matches!(setting, SettingName::Annotation(_));
            match unsupported.as_refusal().filter(|_| is_required) {
                Some(problem) => return Err(InvalidSetting::new(setting, value, problem)),
                None => warnings.push(Warning::new(
                    WarningCode::SettingWithoutEffect,
                    format!("{setting}: {unsupported}"),
                )),
            }
        }
        Ok(warnings)
    }

    fn read_owners(&self, to: &mut Interception) -> Result<(), InvalidSetting> {
        let user = owner("runAsUser", self.run_as_user, Uid::EXPECTED)?;
        let group = owner("runAsGroup", self.run_as_group, Gid::EXPECTED)?;
        if let Some(user) = user {
            to.proxy_uids = vec![Uid(user)];
        }
        // Without a group it is 1337, as in Istio's plugin. A group with the number of the user could
        // be that of an application.
        if let Some(group) = group {
            to.proxy_gids = vec![Gid(group)];
        }
        Ok(())
    }
}

/// Returns the excluded ports as they are set.
fn read_inbound(
    reader: &Reader<'_>,
    to: &mut Interception,
) -> Result<Vec<PortRange>, InvalidSetting> {
    let annotation = Annotation::InterceptionMode;
    let expected = match reader.find(annotation).map(|found| found.setting) {
        // A default for all pods would leave no pod to redirect.
        Some(SettingName::Default(_)) => Mode::EXPECTED,
        _ => EXPECTED_MODE,
    };
    let mode = |text: &str| text.parse::<Mode>().ok().ok_or(InvalidValue { expected });
    let mode = reader.single(annotation, mode)?;
    to.mode = mode.unwrap_or(to.mode);

    let listed = reader
        .ports(Annotation::ExcludeInboundPorts)?
        .unwrap_or_default();
    let mut excluded = listed.clone();
    for port in agent_ports() {
        if !excluded.contains(&port) {
            excluded.push(port);
        }
    }

    let included = Annotation::IncludeInboundPorts;
    to.inbound = match reader.wildcard_or_list(included, single_port)? {
        None | Some(Selected::All) => InboundCapture::AllExcept(excluded),
        Some(Selected::Only(ports)) => InboundCapture::only(ports),
    };
    Ok(listed)
}

fn read_outbound(reader: &Reader<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let included = Annotation::IncludeOutboundIpRanges;
    to.outbound_ranges = match reader.wildcard_or_list(included, network)? {
        None | Some(Selected::All) => OutboundRanges::All,
        Some(Selected::Only(ranges)) => OutboundRanges::Only(ranges),
    };
    let excluded = Annotation::ExcludeOutboundIpRanges;
    set(
        &mut to.exclude_outbound_ranges,
        reader.list(excluded, network)?,
    );
    set(
        &mut to.outbound_ports,
        reader.ports(Annotation::IncludeOutboundPorts)?,
    );
    set(
        &mut to.exclude_outbound_ports,
        reader.ports(Annotation::ExcludeOutboundPorts)?,
    );
    Ok(())
}

fn read_interfaces(reader: &Reader<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let interfaces = |annotation| reader.list(annotation, str::parse::<InterfaceName>);
    let deprecated = interfaces(Annotation::KubevirtInterfaces)?;
    let rerouted = interfaces(Annotation::RerouteVirtualInterfaces)?;
    let rerouting = match rerouted {
        Some(_) => Annotation::RerouteVirtualInterfaces,
        None => Annotation::KubevirtInterfaces,
    };
    let ranges = match &to.outbound_ranges {
        OutboundRanges::All => 1,
        OutboundRanges::Only(ranges) => ranges.len().max(1),
    };
    let left = Cell::new(MAX_RULES / ranges);
    let within_limit = |_name: &str| {
        let before = left.replace(left.get().saturating_sub(1));
        before.checked_sub(1).ok_or(InvalidValue {
            expected: EXPECTED_REROUTING,
        })
    };
    reader.list(rerouting, within_limit)?;
    set(
        &mut to.exclude_interfaces,
        interfaces(Annotation::ExcludeInterfaces)?,
    );
    set(&mut to.reroute_interfaces, rerouted.or(deprecated));
    Ok(())
}

/// A warning for each annotation of the pod that another setting makes useless. A default of the
/// network configuration is for all pods, so it is not a mistake in this one.
fn without_effect(
    reader: &Reader<'_>,
    interception: &Interception,
    excluded_inbound: &[PortRange],
) -> Vec<Warning> {
    let mut found = interception.without_effect(excluded_inbound);
    if reader.find(Annotation::RerouteVirtualInterfaces).is_some() {
        let why = "istio.io/reroute-virtual-interfaces, its newer name, is set too";
        found.push((Annotation::KubevirtInterfaces, why));
    }
    let in_pod = |(annotation, why)| {
        let setting = reader.find(annotation)?.setting;
        matches!(setting, SettingName::Annotation(_)).then(|| {
            let message = format!("{setting} has no effect: {why}");
            Warning::new(WarningCode::SettingWithoutEffect, message)
        })
    };
    found.into_iter().filter_map(in_pod).collect()
}

/// A port that is only validated; 0 means none.
fn port_or_none(text: &str) -> Result<(), InvalidValue> {
    match text.parse::<Port>() {
        Err(_) if text != "0" => Err(InvalidValue {
            expected: EXPECTED_PORT_OR_NONE,
        }),
        _ => Ok(()),
    }
}

/// Replaces the default if there is a value.
fn set<T>(to: &mut T, found: Option<T>) {
    if let Some(found) = found {
        *to = found;
    }
}
