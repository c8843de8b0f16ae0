//! `--run-validation`: proves by a connection of its own that the rules redirect.
//!
//! The probe goes the way of what the proxy sends to its own pod: as the proxy's user through the
//! loopback interface to the pod's own address, which the rules turn to the inbound capture port.
//! There it has to arrive, with the destination that it had. What comes from other machines takes
//! PREROUTING instead, which nothing inside the pod can send a packet through.

mod probe;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{InterfaceName, Port, Uid};
use mesh_cni_rules::Interception;
use mesh_cni_rules::interception::{DnsCapture, is_usable};

pub(super) use probe::{Probe, ProbeError};

use super::error::{Origin, SettingError};
use super::flags;
use super::settings::Settings;
use crate::failure::Failure;

/// What the probe needs to know, whatever the family.
#[derive(Debug)]
pub(super) struct Validation {
    user: Uid,
    port: Port,
    patience: Duration,
}

impl Validation {
    /// The validation that the settings ask for. What would leave the probe alone contradicts it.
    pub(super) fn asked_for(
        settings: &mut Settings<'_>,
        interception: &Interception,
    ) -> Result<Option<Self>, SettingError> {
        let (port, patience) = (settings.probe_port()?, settings.probe_timeout()?);
        if !settings.switch(&flags::RUN_VALIDATION)? {
            return Ok(None);
        }
        let probe = settings.origin(&flags::RUN_VALIDATION);
        // What a further user sends to the pod itself leaves the chain at the first user's rules.
        let Some(user) = interception.proxy_uids.first().copied() else {
            let other = format!("an empty {}", settings.origin(&flags::PROXY_UID));
            let why = "the probe is sent as the proxy's user";
            return Err(SettingError::Unprovable { probe, other, why });
        };
        check(settings, probe, port, interception)?;
        Ok(Some(Self {
            user,
            port,
            patience,
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
        let own = addresses.iter().copied();
        let own =
            own.filter(|address| is_usable(*address) && Family::of_address(*address) == family);
        // Every address of 127.0.0.0/8 is the namespace's own.
        let passthrough = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
        let further = (family == Family::V4).then_some(passthrough);
        let mut addresses = own
            .chain(further)
            .filter(|address| !loopback.contains(*address));
        let address = addresses.next().ok_or(ProbeError::NoAddress { family })?;
        Ok(Probe {
            user: self.user,
            to: SocketAddr::new(address, self.port.get()),
            capture: SocketAddr::new(loopback_of(family), interception.inbound_capture_port.get()),
            patience: self.patience,
        })
    }
}

/// Refuses what takes the probe past the rule that it is to prove.
fn check(
    settings: &Settings<'_>,
    probe: Origin,
    port: Port,
    interception: &Interception,
) -> Result<(), SettingError> {
    let knocks = format!("{} = `{port}`", settings.origin(&flags::PROBE_PORT));
    let other = |flag| {
        format!(
            "{knocks} and {} = `{}`",
            settings.origin(flag),
            settings.text(flag)
        )
    };
    let queries = interception.dns != DnsCapture::Off && port.get() == 53;
    let is_loopback = |interface: &InterfaceName| covers_loopback(interface.as_str());
    let contradiction = if interception.exclude_outbound_ports.contains(&port) {
        Some((
            other(&flags::EXCLUDE_OUTBOUND_PORTS),
            "the port is left alone",
        ))
    } else if interception.tunnel_port == port {
        Some((other(&flags::INBOUND_TUNNEL_PORT), "the port is left alone"))
    } else if interception.inbound_capture_port == port {
        let why = "the probe would arrive without any rule";
        Some((other(&flags::INBOUND_CAPTURE_PORT), why))
    } else if queries {
        let other = format!("{knocks} and {}", settings.origin(&flags::REDIRECT_DNS));
        Some((other, "the port is that of DNS"))
    } else if interception.exclude_interfaces.iter().any(is_loopback) {
        let flag = &flags::EXCLUDE_INTERFACES;
        let other = format!("{} = `{}`", settings.origin(flag), settings.text(flag));
        Some((other, "the probe goes through lo, which is left alone"))
    } else {
        None
    };
    match contradiction {
        Some((other, why)) => Err(SettingError::Unprovable { probe, other, why }),
        None => Ok(()),
    }
}

/// Whether rules with that name, or with that beginning and `+`, are about `lo`.
fn covers_loopback(interface: &str) -> bool {
    match interface.strip_suffix('+') {
        Some(beginning) => "lo".starts_with(beginning),
        None => interface == "lo",
    }
}

/// Where redirected packets of the namespace itself go.
fn loopback_of(family: Family) -> IpAddr {
    family.loopback().ip()
}

/// What came of a probe, with what to do about it.
pub(super) fn failure(error: ProbeError) -> Failure {
    match &error {
        ProbeError::Refused { .. }
        | ProbeError::PastCapture { .. }
        | ProbeError::Altered { .. } => Failure::unproven(error)
            .hint(
                "look at the rules of the namespace: `iptables -t nat -L -n -v`, and \
                     `ip6tables` for IPv6",
            )
            .hint(
                "where a CNI plugin was to program the pod, it did not: look at its log on \
                     the node, then delete the pod so that a new one is made",
            ),
        ProbeError::Listen { .. } => Failure::environment(error).hint(
            "nothing was proven: the probe needs the capture port for itself, so run it before \
             the proxy starts, as an init container",
        ),
        ProbeError::User { .. } => Failure::environment(error)
            .hint("nothing was proven: run it as root, or as the proxy's user itself"),
        ProbeError::NoAddress { .. } | ProbeError::Broken { .. } => Failure::environment(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_plus_stand_for_all_that_begin_so() {
        for name in ["lo", "lo+", "l+", "+"] {
            assert!(covers_loopback(name), "{name}");
        }
        for name in ["l", "lo0", "lo0+", "eth+"] {
            assert!(!covers_loopback(name), "{name}");
        }
    }
}
