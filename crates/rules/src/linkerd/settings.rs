//! The settings of a pod: in its annotations, those of its namespace, and its proxy's container.

mod annotation;
mod budget;
pub mod items;

pub use annotation::Annotation;

use std::collections::BTreeMap;

use mesh_cni_netfilter::value::{InvalidValue, excerpt};
use mesh_cni_netfilter::{Family, Port, PortRange};

use super::Interception;
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{InvalidItem, every_item, single};
use crate::warning::{Warning, WarningCode};

/// The addresses on which the proxy listens for inbound connections.
const INBOUND: &str = "LINKERD2_PROXY_INBOUND_LISTEN_ADDR";
/// The addresses on which it listens for outbound connections; the first is of older versions.
const OUTBOUND: [&str; 2] = [
    "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR",
    "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS",
];
/// The addresses on which it listens for requests to itself, which are never redirected.
const OWN: [&str; 2] = [
    "LINKERD2_PROXY_ADMIN_LISTEN_ADDR",
    "LINKERD2_PROXY_CONTROL_LISTEN_ADDR",
];

const EXPECTED_ADDRESSES: &str = "addresses with one port, such as `0.0.0.0:4143`";

/// What the keys of annotations begin with that skip traffic.
const SKIP: &str = "config.linkerd.io/skip-";
/// The most annotations that are named in warnings.
const MAX_NAMED: usize = 8;

/// Everything that configures the interception of a pod.
#[derive(Clone, Debug)]
pub struct PodSettings<'pod> {
    /// What holds without settings of the pod.
    pub defaults: Interception,
    /// The pod's annotations.
    pub annotations: Option<&'pod BTreeMap<String, String>>,
    /// The annotations of its namespace, for those that the pod lacks or has with an empty value.
    pub namespace_annotations: Option<&'pod BTreeMap<String, String>>,
    /// The environment of the proxy's container, without references to other objects.
    pub proxy_env: Option<&'pod BTreeMap<String, String>>,
    /// `securityContext.runAsUser` of the proxy's container.
    pub run_as_user: Option<i64>,
    /// `securityContext.runAsGroup` of the proxy's container.
    pub run_as_group: Option<i64>,
    /// The ports of the Kubernetes API, for a pod of the control plane: it connects to the API
    /// without the proxy.
    pub kube_api_ports: &'pod [u16],
}

/// An interception, with warnings about its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What to capture.
    pub interception: Interception,
    /// What is unusual about the settings.
    pub warnings: Vec<Warning>,
}

struct Setting<'pod> {
    name: SettingName,
    value: &'pod str,
}

impl Setting<'_> {
    fn single<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<T, InvalidSetting> {
        let parsed = single(self.value, parse);
        parsed.map_err(|problem| self.invalid(problem))
    }

    fn list<T>(
        self,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Vec<T>, InvalidSetting> {
        let parsed = every_item(self.value, parse);
        parsed.map_err(|problem| self.invalid(problem))
    }

    fn invalid(self, problem: InvalidItem) -> InvalidSetting {
        InvalidSetting::new(self.name, self.value, problem)
    }
}

impl<'pod> PodSettings<'pod> {
    /// The interception that these settings configure.
    ///
    /// Fails at the first invalid setting, with its name, its value and the position. Linkerd's plugin
    /// leaves out ports that are not valid.
    pub fn resolve(&self) -> Result<Resolved, InvalidSetting> {
        let mut to = self.defaults.clone();
        let mut warnings = Vec::new();
        self.read_skipped(&mut to)?;
        self.read_owners(&mut to, &mut warnings)?;
        self.read_listeners(&mut to)?;
        warnings.extend(without_rules(&to));
        warnings.extend(self.unknown());
        Ok(Resolved {
            interception: to,
            warnings,
        })
    }

    fn read_skipped(&self, to: &mut Interception) -> Result<(), InvalidSetting> {
        if let Some(found) = self.find(Annotation::SkipInboundPorts) {
            to.skipped_inbound_ports.extend(found.list(items::port)?);
        }
        if let Some(found) = self.find(Annotation::SkipOutboundPorts) {
            to.skipped_outbound_ports = found.list(items::port)?;
        }
        let api = self.kube_api_ports.iter();
        let api = api.filter_map(|port| PortRange::new(*port, *port));
        to.skipped_outbound_ports.extend(api);
        if let Some(found) = self.find(Annotation::SkipSubnets) {
            to.skipped_inbound_subnets = found.list(items::subnet)?;
        }
        if let Some(found) = self.find(Annotation::SkipInboundSubnets) {
            let further = found.list(items::subnet)?;
            to.skipped_inbound_subnets.extend(further);
        }
        if let Some(found) = self.find(Annotation::SkipOutboundSubnets) {
            to.skipped_outbound_subnets = found.list(items::subnet)?;
        }
        Ok(())
    }

    /// The container says as whom the proxy runs. Rules for another user would redirect the proxy's
    /// own traffic to the proxy.
    fn read_owners(
        &self,
        to: &mut Interception,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), InvalidSetting> {
        if let Some(found) = self.find(Annotation::ProxyUid) {
            to.proxy_uid = found.single(items::user)?;
        }
        if let Some(found) = self.find(Annotation::ProxyGid) {
            to.proxy_gid = found.single(items::group)?;
        }
        let (user, group) = (to.proxy_uid, to.proxy_gid);
        if let Some(found) = owner("runAsUser", self.run_as_user, items::user)? {
            to.proxy_uid = Some(found);
        }
        if let Some(found) = owner("runAsGroup", self.run_as_group, items::group)? {
            to.proxy_gid = Some(found);
        }
        let mut changed = Vec::new();
        if let (Some(user), Some(actual)) = (user, to.proxy_uid) {
            changed.push(("user", user.0, actual.0));
        }
        if let (Some(group), Some(actual)) = (group, to.proxy_gid) {
            changed.push(("group", group.0, actual.0));
        }
        for (kind, id, actual) in changed {
            if id != actual {
                warnings.push(Warning::new(
                    WarningCode::SettingWithoutEffect,
                    format!(
                        "the configured {kind} {id} of the proxy has no effect: its container runs \
                         as {kind} {actual}"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn read_listeners(&self, to: &mut Interception) -> Result<(), InvalidSetting> {
        if let Some(port) = self.listener(INBOUND)? {
            to.inbound_port = port;
        }
        for name in OUTBOUND {
            if let Some(port) = self.listener(name)? {
                to.outbound_port = port;
            }
        }
        for name in OWN {
            let Some(port) = self.listener(name)? else {
                continue;
            };
            let mut skipped = to.skipped_inbound_ports.iter();
            if !skipped.any(|range| range.contains(port.get())) {
                to.skipped_inbound_ports.push(port.into());
            }
        }
        Ok(())
    }

    /// The port in a variable with a literal value.
    fn listener(&self, name: &'static str) -> Result<Option<Port>, InvalidSetting> {
        let value = self.proxy_env.and_then(|env| env.get(name));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let setting = || Setting {
            name: SettingName::Variable(name),
            value,
        };
        let ports = setting().list(listener_port)?;
        let first = ports.first().copied();
        if ports.iter().any(|port| Some(*port) != first) {
            return Err(setting().invalid(InvalidItem {
                item: value.clone(),
                position: 1,
                expected: EXPECTED_ADDRESSES,
            }));
        }
        Ok(first)
    }

    /// A warning for each annotation of the pod that looks as if it skipped traffic and does not.
    fn unknown(&self) -> impl Iterator<Item = Warning> {
        let keys = self.annotations.into_iter().flat_map(|all| all.keys());
        let is_unknown = |key: &&String| {
            key.starts_with(SKIP) && !Annotation::ALL.iter().any(|known| known.key() == **key)
        };
        keys.filter(is_unknown).take(MAX_NAMED).map(|key| {
            let key = excerpt(key, 1);
            let message = format!("annotation `{key}` is not a setting and has no effect");
            Warning::new(WarningCode::UnknownSetting, message)
        })
    }

    fn find(&self, annotation: Annotation) -> Option<Setting<'pod>> {
        let key = annotation.key();
        let found = |map: Option<&'pod BTreeMap<String, String>>, name| {
            let value = map?.get(key).filter(|value| !value.is_empty())?;
            Some(Setting { name, value })
        };
        found(self.annotations, SettingName::Annotation(key)).or_else(|| {
            found(
                self.namespace_annotations,
                SettingName::NamespaceAnnotation(key),
            )
        })
    }
}

fn listener_port(text: &str) -> Result<Port, InvalidValue> {
    let port = text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    port.ok_or(InvalidValue {
        expected: EXPECTED_ADDRESSES,
    })
}

/// The user or group that the container sets; root means that no rule is written.
fn owner<T>(
    field: &'static str,
    id: Option<i64>,
    parse: impl FnOnce(&str) -> Result<Option<T>, InvalidValue>,
) -> Result<Option<T>, InvalidSetting> {
    let Some(id) = id else {
        return Ok(None);
    };
    let value = id.to_string();
    let name = SettingName::SecurityContext(field);
    let setting = Setting {
        name,
        value: &value,
    };
    setting.single(parse)
}

/// A warning for each list with subnets of a family for which no rules are written.
fn without_rules(interception: &Interception) -> Vec<Warning> {
    let families = interception.families();
    let lists = [
        ("sources", &interception.skipped_inbound_subnets),
        ("destinations", &interception.skipped_outbound_subnets),
    ];
    let warning = |(kind, subnets): (&str, &Vec<ipnetwork::IpNetwork>)| {
        let mut subnets = subnets.iter();
        let first = subnets.find(|subnet| !families.contains(&Family::of(subnet)))?;
        Some(Warning::new(
            WarningCode::SettingWithoutEffect,
            format!(
                "skipped {kind}: no rule is written for `{first}`: only IPv4 rules are written \
                 for this pod, and its IPv6 traffic is not redirected"
            ),
        ))
    };
    lists.into_iter().filter_map(warning).collect()
}
