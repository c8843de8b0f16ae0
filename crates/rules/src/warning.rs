//! What is unusual about a pod that is redirected nevertheless.

use std::fmt;

use mesh_cni_selector::Mesh;

/// A problem with a pod or its settings that does not refuse the pod.
///
/// Displayed, the code follows the message in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The kind of problem, for programs.
    pub code: WarningCode,
    /// One line for people. It may contain text of the pod's settings.
    pub message: String,
}

/// The kind of a [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WarningCode {
    /// The pod has an IPv6 address and gets no IPv6 rules.
    Ipv6WithoutRules,
    /// A setting, or a part of it, has no effect.
    SettingWithoutEffect,
    /// A key looks like a setting and is none.
    UnknownSetting,
    /// A value is not known or not valid, and a default is used.
    UnknownValue,
    /// Traffic of the application bypasses the proxy.
    BypassesProxy,
    /// The rules redirect the proxy's own traffic to the proxy, or may do so.
    ProxyRedirectedToItself,
    /// The network namespace has rules of another mesh.
    OtherMesh,
}

impl Warning {
    /// A warning of that kind.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// The network namespace of the pod has rules of that mesh, which is not the pod's.
    pub fn other_mesh(mesh: Mesh) -> Self {
        let message = format!(
            "the network namespace has rules of {mesh} too: they are not changed, and packets \
             traverse them as well"
        );
        Self::new(WarningCode::OtherMesh, message)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code.as_str())
    }
}

impl WarningCode {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::Ipv6WithoutRules,
        Self::SettingWithoutEffect,
        Self::UnknownSetting,
        Self::UnknownValue,
        Self::BypassesProxy,
        Self::ProxyRedirectedToItself,
        Self::OtherMesh,
    ];

    /// The code in logs, metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv6WithoutRules => "ipv6-without-rules",
            Self::SettingWithoutEffect => "setting-without-effect",
            Self::UnknownSetting => "unknown-setting",
            Self::UnknownValue => "unknown-value",
            Self::BypassesProxy => "bypasses-proxy",
            Self::ProxyRedirectedToItself => "proxy-redirected-to-itself",
            Self::OtherMesh => "other-mesh",
        }
    }
}
