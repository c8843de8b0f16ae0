//! Lists of an interception that change nothing, because of another list.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::PortRange;

use super::{InboundCapture, Interception, OutboundRanges, agent_ports};
use crate::istio::settings::Annotation;

impl Interception {
    /// The lists without effect, by their annotations, and why they have none.
    ///
    /// `excluded_inbound` are the excluded inbound ports as they were set. The ports of the proxy's
    /// agent do not count: the injector writes them in every pod.
    pub fn without_effect(
        &self,
        excluded_inbound: &[PortRange],
    ) -> Vec<(Annotation, &'static str)> {
        let mut found = Vec::new();
        let mut excludes = excluded_inbound.iter();
        let why = match &self.inbound {
            InboundCapture::AllExcept(_) => None,
            InboundCapture::Only(_) => Some("only the listed inbound ports are captured"),
            InboundCapture::None => Some("no inbound port is captured"),
        };
        if excludes.any(|port| !agent_ports().contains(port)) {
            found.extend(why.map(|why| (Annotation::ExcludeInboundPorts, why)));
        }
        if !self.outbound_ports.is_empty() {
            let why = self.outbound_ports_without_effect();
            found.extend(why.map(|why| (Annotation::IncludeOutboundPorts, why)));
        }
        if !self.exclude_outbound_ranges.is_empty() && self.captures_no_excluded_range() {
            let why = "no captured destination is in these ranges";
            found.push((Annotation::ExcludeOutboundIpRanges, why));
        }
        found
    }

    fn outbound_ports_without_effect(&self) -> Option<&'static str> {
        let excluded = PortRange::merged(&self.exclude_outbound_ports);
        let is_excluded = |ports: &PortRange| excluded.iter().any(|range| range.covers(*ports));
        if self.outbound_ranges == OutboundRanges::All {
            Some("all outbound ports are captured")
        } else if self.outbound_ports.iter().all(is_excluded) {
            Some("all of these ports are excluded too")
        } else {
            None
        }
    }

    fn captures_no_excluded_range(&self) -> bool {
        let OutboundRanges::Only(captured) = &self.outbound_ranges else {
            return false;
        };
        let mut captured = captured.iter();
        let is_used = |range: &IpNetwork| {
            let mut excluded = self.exclude_outbound_ranges.iter();
            excluded.any(|other| other.contains(range.ip()) || range.contains(other.ip()))
        };
        self.outbound_ports.is_empty() && !captured.any(is_used)
    }
}
