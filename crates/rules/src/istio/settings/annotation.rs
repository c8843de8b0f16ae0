//! The pod annotations that configure interception, with the keys that Istio uses.

/// An annotation that configures the interception of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Annotation {
    /// `sidecar.istio.io/interceptionMode`: `REDIRECT` or `TPROXY`.
    InterceptionMode,
    /// `status.sidecar.istio.io/port`: only validated; 0 for none.
    StatusPort,
    /// `traffic.sidecar.istio.io/includeInboundPorts`: a list or `*`.
    IncludeInboundPorts,
    /// `traffic.sidecar.istio.io/excludeInboundPorts`: a list.
    ExcludeInboundPorts,
    /// `traffic.sidecar.istio.io/includeOutboundPorts`: a list.
    IncludeOutboundPorts,
    /// `traffic.sidecar.istio.io/excludeOutboundPorts`: a list.
    ExcludeOutboundPorts,
    /// `traffic.sidecar.istio.io/includeOutboundIPRanges`: CIDRs or `*`.
    IncludeOutboundIpRanges,
    /// `traffic.sidecar.istio.io/excludeOutboundIPRanges`: CIDRs.
    ExcludeOutboundIpRanges,
    /// `traffic.sidecar.istio.io/excludeInterfaces`: interface names.
    ExcludeInterfaces,
    /// `istio.io/reroute-virtual-interfaces`: interface names.
    RerouteVirtualInterfaces,
    /// `traffic.sidecar.istio.io/kubevirtInterfaces`: the deprecated name of the former.
    KubevirtInterfaces,
}

impl Annotation {
    /// Every annotation.
    pub const ALL: [Self; 11] = [
        Self::InterceptionMode,
        Self::StatusPort,
        Self::IncludeInboundPorts,
        Self::ExcludeInboundPorts,
        Self::IncludeOutboundPorts,
        Self::ExcludeOutboundPorts,
        Self::IncludeOutboundIpRanges,
        Self::ExcludeOutboundIpRanges,
        Self::ExcludeInterfaces,
        Self::RerouteVirtualInterfaces,
        Self::KubevirtInterfaces,
    ];

    /// The key.
    pub fn key(self) -> &'static str {
        match self {
            Self::InterceptionMode => "sidecar.istio.io/interceptionMode",
            Self::StatusPort => "status.sidecar.istio.io/port",
            Self::IncludeInboundPorts => "traffic.sidecar.istio.io/includeInboundPorts",
            Self::ExcludeInboundPorts => "traffic.sidecar.istio.io/excludeInboundPorts",
            Self::IncludeOutboundPorts => "traffic.sidecar.istio.io/includeOutboundPorts",
            Self::ExcludeOutboundPorts => "traffic.sidecar.istio.io/excludeOutboundPorts",
            Self::IncludeOutboundIpRanges => "traffic.sidecar.istio.io/includeOutboundIPRanges",
            Self::ExcludeOutboundIpRanges => "traffic.sidecar.istio.io/excludeOutboundIPRanges",
            Self::ExcludeInterfaces => "traffic.sidecar.istio.io/excludeInterfaces",
            Self::RerouteVirtualInterfaces => "istio.io/reroute-virtual-interfaces",
            Self::KubevirtInterfaces => "traffic.sidecar.istio.io/kubevirtInterfaces",
        }
    }
}
