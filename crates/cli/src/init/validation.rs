//! `--run-validation`: checks with a connection that the rules redirect.
//!
//! The probe takes the path of the proxy's connections to its own pod: sent by the proxy's user to
//! the pod's own address over the loopback interface. The rules must redirect it to the inbound
//! capture port, with its original destination. Packets from other machines traverse PREROUTING
//! instead, which no packet from inside the pod can.

mod probe;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{InterfaceName, Port, Uid};
use mesh_cni_rules::is_usable;
use mesh_cni_rules::istio::Interception;
use mesh_cni_rules::istio::interception::DnsCapture;

use probe::{Probe, ProbeError};

use super::error::{Origin, SettingError};
use super::flags::{self, Flag};
use super::go::duration;
use super::settings::{Settings, expecting};
use crate::failure::Failure;

/// The parts of the probe that do not depend on the family.
#[derive(Debug)]
pub(super) struct Validation {
    user: Uid,
    port: Port,
    timeout: Duration,
}

impl Validation {
    /// The validation that the settings ask for. Refuses settings whose rules do not apply to the
    /// probe.
    pub(super) fn requested(
        settings: &mut Settings<'_>,
        interception: &Interception,
    ) -> Result<Option<Self>, SettingError> {
        // Also without --run-validation, so that a wrong value is an error.
        let (port, timeout) = (settings.port(&flags::PROBE_PORT)?, timeout(settings)?);
        if !settings.switch(&flags::RUN_VALIDATION)? {
            return Ok(None);
        }
        let probe = settings.origin(&flags::RUN_VALIDATION);
        // Only the first user's packets reach the rule that is checked: those of other users
        // return from the chain at the first user's rules.
        let Some(user) = interception.proxy_uids.first().copied() else {
            let other = format!("an empty {}", settings.origin(&flags::PROXY_UID));
            let why = "the probe is sent as the proxy's user";
            return Err(SettingError::Unprovable { probe, other, why });
        };
        check(settings, probe, port, interception)?;
        Ok(Some(Self {
            user,
            port,
            timeout,
        }))
    }

    /// The probe for a namespace with these addresses.
    pub(super) fn probe(
        &self,
        interception: &Interception,
        family: Family,
        addresses: &[IpAddr],
    ) -> Result<Probe, ProbeError> {
        let loopback = interception.loopback(family);
        // Every namespace has all addresses of 127.0.0.0/8.
        let passthrough = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
        let fallback = (family == Family::V4).then_some(passthrough);
        let address = addresses
            .iter()
            .copied()
            .filter(|address| is_usable(*address) && Family::of_address(*address) == family)
            .chain(fallback)
            .find(|address| !loopback.contains(*address))
            .ok_or(ProbeError::NoAddress { family })?;
        Ok(Probe {
            user: self.user,
            to: SocketAddr::new(address, self.port.get()),
            capture: SocketAddr::new(
                family.loopback().ip(),
                interception.inbound_capture_port.get(),
            ),
            timeout: self.timeout,
        })
    }
}

fn timeout(settings: &Settings<'_>) -> Result<Duration, SettingError> {
    let day = Duration::from_secs(24 * 60 * 60);
    let parse = |text: &str| duration(text).filter(|time| !time.is_zero() && *time <= day);
    let expected = "a duration: allowed are forms such as `5s`, `1m30s` and `500ms`, above 0 and up \
                    to `24h`";
    settings.one(&flags::PROBE_TIMEOUT, expecting(expected, parse))
}

/// Refuses settings with which the probe does not reach the rule that is checked.
fn check(
    settings: &Settings<'_>,
    probe: Origin,
    port: Port,
    interception: &Interception,
) -> Result<(), SettingError> {
    let with_value = |flag: &Flag| format!("{} = `{}`", settings.origin(flag), settings.text(flag));
    let probe_port = with_value(&flags::PROBE_PORT);
    let port_and = |flag: &Flag| format!("{probe_port} and {}", with_value(flag));
    let captures_dns = interception.dns != DnsCapture::Off && port.get() == 53;
    let is_loopback = |interface: &InterfaceName| covers_loopback(interface.as_str());
    let mut excluded = interception.exclude_outbound_ports.iter();
    let (other, why) = if excluded.any(|ports| ports.contains(port.get())) {
        (
            port_and(&flags::EXCLUDE_OUTBOUND_PORTS),
            "the port is excluded",
        )
    } else if interception.tunnel_port == port {
        (
            port_and(&flags::INBOUND_TUNNEL_PORT),
            "the port is never redirected",
        )
    } else if interception.inbound_capture_port == port {
        (
            port_and(&flags::INBOUND_CAPTURE_PORT),
            "the probe would arrive without any rule",
        )
    } else if captures_dns {
        let redirect_dns = settings.origin(&flags::REDIRECT_DNS);
        (
            format!("{probe_port} and {redirect_dns}"),
            "the port is the DNS port",
        )
    } else if interception.exclude_interfaces.iter().any(is_loopback) {
        (
            with_value(&flags::EXCLUDE_INTERFACES),
            "the probe uses interface lo, which is excluded",
        )
    } else {
        return Ok(());
    };
    Err(SettingError::Unprovable { probe, other, why })
}

/// Whether a rule's interface name, which may end with the wildcard `+`, matches `lo`.
fn covers_loopback(interface: &str) -> bool {
    match interface.strip_suffix('+') {
        Some(prefix) => "lo".starts_with(prefix),
        None => interface == "lo",
    }
}

/// Adds the exit code and the remedy.
pub(super) fn failure(error: ProbeError) -> Failure {
    match &error {
        ProbeError::Refused { .. }
        | ProbeError::PastCapture { .. }
        | ProbeError::Altered { .. } => Failure::not_redirected(error)
            .hint("inspect the rules with `iptables -t nat -L -n -v`, and `ip6tables` for IPv6")
            .hint(
                "if a CNI plugin sets up this pod, read its log on the node, then delete the pod \
                 so that it is recreated",
            ),
        ProbeError::Listen { .. } => Failure::environment(error).hint(
            "nothing was validated: the probe listens on the capture port itself, so run it \
             before the proxy starts, as an init container",
        ),
        ProbeError::User { .. } => Failure::environment(error)
            .hint("nothing was validated: run it as root or as the proxy's user"),
        ProbeError::NoAddress { .. } | ProbeError::System { .. } => Failure::environment(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_matches_any_ending() {
        for name in ["lo", "lo+", "l+", "+"] {
            assert!(covers_loopback(name), "{name}");
        }
        for name in ["l", "lo0", "lo0+", "eth+"] {
            assert!(!covers_loopback(name), "{name}");
        }
    }
}
