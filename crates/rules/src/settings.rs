//! Settings — an interception from what a pod says: its annotations and its proxy's container.

mod annotation;
mod reader;

pub use annotation::Annotation;
pub use reader::{InvalidSetting, SettingName};

use std::cell::Cell;
use std::collections::BTreeMap;

use reader::{Found, Reader, owner};

use crate::interception::{
    DnsCapture, InboundCapture, Interception, Mode, OutboundRanges, agent_ports,
};
use crate::value::Selected;
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{EXPECTED_NETWORK, Gid, InterfaceName, Port, Uid, network};

/// What the annotation of the mode takes; Istio's own `NONE` is what people write beside it.
const EXPECTED_MODE: &str = "an interception mode: allowed are `REDIRECT` and `TPROXY`; where \
    nothing is to be redirected, remove the annotation and set sidecar.istio.io/inject to \"false\"";
/// What the annotation of the status port takes.
const EXPECTED_PORT_OR_NONE: &str =
    "a port: allowed are whole numbers from 1 to 65535, and 0 for none";
/// Each rerouted interface has a rule for each captured range; a pod that needs a tenth of this many
/// has not been seen.
const MOST_REROUTING: usize = 10_000;
const EXPECTED_REROUTING: &str = "an interface that fits: rerouted ones times ranges of \
    traffic.sidecar.istio.io/includeOutboundIPRanges may be 10000 at most";
/// Environment of the proxy that says whether DNS is captured.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";
/// Environment of the proxy that says whether invalid packets are dropped.
const INVALID_DROP: &str = "INVALID_DROP";
/// Environment of the proxy that says whether both families are programmed.
const DUAL_STACK: &str = "ISTIO_DUAL_STACK";

/// Everything in a pod that has a say in its interception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSettings<'pod> {
    /// The pod's annotations.
    pub annotations: Option<&'pod BTreeMap<String, String>>,
    /// Values under the same keys, used where the pod has no such annotation.
    pub defaults: Option<&'pod BTreeMap<String, String>>,
    /// The literal environment of the proxy's container.
    pub proxy_env: Option<&'pod BTreeMap<String, String>>,
    /// `securityContext.runAsUser` of the proxy's container.
    pub run_as_user: Option<i64>,
    /// `securityContext.runAsGroup` of the proxy's container.
    pub run_as_group: Option<i64>,
}

/// An interception together with what was odd, but not wrong, about its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What to capture.
    pub interception: Interception,
    /// One line each, for the log.
    pub warnings: Vec<String>,
}

impl PodSettings<'_> {
    /// The interception that these settings ask for.
    ///
    /// The first setting that does not parse refuses the whole, with its name, its value and
    /// the position.
    pub fn resolve(&self) -> Result<Resolved, InvalidSetting> {
        let mut reader = Reader::new(self);
        let mut interception = Interception::pod_default();
        self.read_owners(&mut interception)?;
        read_inbound(&reader, &mut interception)?;
        read_outbound(&reader, &mut interception)?;
        read_interfaces(&reader, &mut interception)?;
        reader.single(Annotation::StatusPort, port_or_none, EXPECTED_PORT_OR_NONE)?;
        if reader.flag(DNS_CAPTURE) {
            interception.dns = DnsCapture::All;
        }
        interception.drop_invalid = reader.flag(INVALID_DROP);
        interception.dual_stack = reader.flag(DUAL_STACK);
        Ok(Resolved {
            interception,
            warnings: reader.warnings,
        })
    }

    /// Checks the ranges against the families of which rules are written for this pod; what they do
    /// not carry out is told, one line a setting.
    ///
    /// Lists often come from the mesh as a whole, with ranges of both families, so that a range of
    /// the other one alone refuses no pod: left alone, as an exclusion asks for, its traffic is
    /// anyway. Where the pod asks for captured ranges of which none can be, it is refused.
    pub fn check_families(&self, families: &[Family]) -> Result<Vec<String>, InvalidSetting> {
        let reader = Reader::new(self);
        let mut told = Vec::new();
        for annotation in [
            Annotation::IncludeOutboundIpRanges,
            Annotation::ExcludeOutboundIpRanges,
        ] {
            let Some((Found { setting, value }, unwritten)) =
                reader.unwritten(annotation, families)
            else {
                continue;
            };
            let captures = annotation == Annotation::IncludeOutboundIpRanges;
            let of_pod = matches!(setting, SettingName::Annotation(_));
            match unwritten.as_refusal().filter(|_| captures && of_pod) {
                Some(problem) => return Err(InvalidSetting::new(setting, value, problem)),
                None => told.push(format!("{setting}: {unwritten}")),
            }
        }
        Ok(told)
    }

    fn read_owners(&self, to: &mut Interception) -> Result<(), InvalidSetting> {
        let user = owner("runAsUser", self.run_as_user, Uid::EXPECTED)?;
        let group = owner("runAsGroup", self.run_as_group, Gid::EXPECTED)?;
        if let Some(user) = user {
            to.proxy_uids = vec![Uid(user)];
        }
        if let Some(group) = group.or(user) {
            to.proxy_gids = vec![Gid(group)];
        }
        Ok(())
    }
}

fn read_inbound(reader: &Reader<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let mode = reader.single(Annotation::InterceptionMode, Mode::parse, EXPECTED_MODE)?;
    to.mode = mode.unwrap_or(to.mode);

    let mut excluded = reader
        .ports(Annotation::ExcludeInboundPorts)?
        .unwrap_or_default();
    for port in agent_ports() {
        if !excluded.contains(&port) {
            excluded.push(port);
        }
    }

    let included = Annotation::IncludeInboundPorts;
    to.inbound = match reader.wildcard_or_list(included, Port::parse, Port::EXPECTED)? {
        None | Some(Selected::All) => InboundCapture::AllExcept(excluded),
        Some(Selected::Only(ports)) => InboundCapture::only(ports),
    };
    Ok(())
}

fn read_outbound(reader: &Reader<'_>, to: &mut Interception) -> Result<(), InvalidSetting> {
    let included = Annotation::IncludeOutboundIpRanges;
    to.outbound_ranges = match reader.wildcard_or_list(included, network, EXPECTED_NETWORK)? {
        None | Some(Selected::All) => OutboundRanges::All,
        Some(Selected::Only(ranges)) => OutboundRanges::Only(ranges),
    };
    let excluded = Annotation::ExcludeOutboundIpRanges;
    set(
        &mut to.exclude_outbound_ranges,
        reader.list(excluded, network, EXPECTED_NETWORK)?,
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
    let interfaces =
        |annotation| reader.list(annotation, InterfaceName::parse, InterfaceName::EXPECTED);
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
    let left = Cell::new(MOST_REROUTING / ranges);
    let fits = |_name: &str| left.replace(left.get().saturating_sub(1)).checked_sub(1);
    reader.list(rerouting, fits, EXPECTED_REROUTING)?;
    set(
        &mut to.exclude_interfaces,
        interfaces(Annotation::ExcludeInterfaces)?,
    );
    set(&mut to.reroute_interfaces, rerouted.or(deprecated));
    Ok(())
}

/// A port that steers no rule; 0 stands for none.
fn port_or_none(text: &str) -> Option<()> {
    let none = (text == "0").then_some(());
    none.or_else(|| Port::parse(text).map(drop))
}

/// Takes what was found, keeps the default where nothing was.
fn set<T>(to: &mut T, found: Option<T>) {
    if let Some(found) = found {
        *to = found;
    }
}
