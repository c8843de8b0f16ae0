//! The annotations that configure interception, of a pod or of its namespace.

/// An annotation that configures the interception of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// `config.linkerd.io/skip-inbound-ports`: added to the ports of the configuration.
    SkipInboundPorts,
    /// `config.linkerd.io/skip-outbound-ports`: instead of the ports of the configuration.
    SkipOutboundPorts,
    /// `config.linkerd.io/skip-subnets`: sources, instead of those of the configuration.
    SkipSubnets,
    /// `config.linkerd.io/skip-inbound-subnets`: further sources. Linkerd has it in a pull request.
    SkipInboundSubnets,
    /// `config.linkerd.io/skip-outbound-subnets`: destinations. Linkerd has it in a pull request.
    SkipOutboundSubnets,
    /// `config.linkerd.io/proxy-uid`: the user of the proxy.
    ProxyUid,
    /// `config.linkerd.io/proxy-gid`: the group of the proxy.
    ProxyGid,
}

impl Annotation {
    /// Every annotation.
    pub const ALL: [Self; 7] = [
        Self::SkipInboundPorts,
        Self::SkipOutboundPorts,
        Self::SkipSubnets,
        Self::SkipInboundSubnets,
        Self::SkipOutboundSubnets,
        Self::ProxyUid,
        Self::ProxyGid,
    ];

    /// The key.
    pub fn key(self) -> &'static str {
        match self {
            Self::SkipInboundPorts => "config.linkerd.io/skip-inbound-ports",
            Self::SkipOutboundPorts => "config.linkerd.io/skip-outbound-ports",
            Self::SkipSubnets => "config.linkerd.io/skip-subnets",
            Self::SkipInboundSubnets => "config.linkerd.io/skip-inbound-subnets",
            Self::SkipOutboundSubnets => "config.linkerd.io/skip-outbound-subnets",
            Self::ProxyUid => "config.linkerd.io/proxy-uid",
            Self::ProxyGid => "config.linkerd.io/proxy-gid",
        }
    }
}
