//! Reads the interception, rule set and back end from the settings of `init`.

use std::str::FromStr;

use mesh_cni_netfilter::value::{excerpt, network};
use mesh_cni_netfilter::{Family, Gid, InterfaceName, PolicyRouting, Uid};
use mesh_cni_netns::{Backend, BackendChoice};
use mesh_cni_rules::istio::interception::{InboundCapture, Mode, OutboundRanges};
use mesh_cni_rules::istio::settings::Annotation;
use mesh_cni_rules::istio::{Dialect, Interception};
use mesh_cni_rules::value::{Selected, UnsupportedRanges};

use super::account_file::{self, USERS};
use super::error::{Origin, SettingError};
use super::flags::{self, Flag};
use super::go::decimal;
use super::settings::{Settings, expecting, refusal};
use super::{dns, groups};

type Result<T> = std::result::Result<T, SettingError>;

/// The interception that the settings ask for.
pub(super) fn read(settings: &mut Settings<'_>) -> Result<Interception> {
    let mut to = Interception::command_default();
    to.outbound_capture_port = settings.port(&flags::ENVOY_PORT)?;
    to.inbound_capture_port = settings.port(&flags::INBOUND_CAPTURE_PORT)?;
    to.tunnel_port = settings.port(&flags::INBOUND_TUNNEL_PORT)?;
    read_owners(settings, &mut to)?;
    read_inbound(settings, &mut to)?;
    read_outbound(settings, &mut to)?;
    to.exclude_interfaces = interfaces(settings, &flags::EXCLUDE_INTERFACES)?;
    to.reroute_interfaces = interfaces(settings, &flags::REROUTE_INTERFACES)?;
    to.owner_groups = groups::owner_groups(settings)?;
    to.dns = dns::capture(settings)?;
    to.drop_invalid = settings.switch(&flags::DROP_INVALID)?;
    to.dual_stack = settings.switch(&flags::DUAL_STACK)?;
    let excluded = settings.ports(&flags::EXCLUDE_INBOUND_PORTS)?;
    for (list, why) in to.without_effect(&excluded) {
        let flag = match list {
            Annotation::ExcludeInboundPorts => &flags::EXCLUDE_INBOUND_PORTS,
            Annotation::IncludeOutboundPorts => &flags::OUTBOUND_PORTS,
            _ => &flags::EXCLUDE_SERVICE_CIDR,
        };
        let origin = settings.origin(flag);
        settings.warn(format!("{origin} has no effect: {why}"));
    }
    Ok(to)
}

/// The rule set.
pub(super) fn dialect(settings: &Settings<'_>) -> Result<Dialect> {
    let expected = "a rule set: allowed are `asm` and `istio`";
    settings.one(
        &flags::RULESET,
        expecting(expected, |text| Dialect::from_str(text).ok()),
    )
}

/// The back end.
pub(super) fn backend(settings: &mut Settings<'_>) -> Result<BackendChoice> {
    let expected = "a kind of iptables: allowed are `nft` and `legacy`";
    let parse = |text: &str| match text {
        "" => Some(BackendChoice::Auto),
        "nft" | "iptables-nft" => Some(BackendChoice::Only(Backend::IptablesNft)),
        "legacy" | "iptables-legacy" => Some(BackendChoice::Only(Backend::IptablesLegacy)),
        _ => None,
    };
    let program = settings.one(&flags::FORCE_IPTABLES_BINARY, expecting(expected, parse))?;
    if !settings.switch(&flags::NATIVE_NFTABLES)? {
        return Ok(program);
    }
    match program {
        BackendChoice::Auto => Ok(BackendChoice::Only(Backend::NftNative)),
        _ => Err(SettingError::TwoBackEnds {
            native: settings.origin(&flags::NATIVE_NFTABLES),
            program: settings.origin(&flags::FORCE_IPTABLES_BINARY),
            value: settings.text(&flags::FORCE_IPTABLES_BINARY),
        }),
    }
}

/// Warns of ranges of a family without rules, one line for each setting: lists often come from the
/// whole mesh. Refuses captured ranges if none of them can be captured.
pub(super) fn check_families(settings: &Settings<'_>, families: &[Family]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for flag in [&flags::SERVICE_CIDR, &flags::EXCLUDE_SERVICE_CIDR] {
        let setting = settings.get(flag);
        let Some(unsupported) = UnsupportedRanges::find(&setting.value, families) else {
            continue;
        };
        let captures = flag.long == flags::SERVICE_CIDR.long;
        match unsupported.as_refusal().filter(|_| captures) {
            Some(problem) => return Err(refusal(setting)(problem)),
            None => warnings.push(format!("{}: {unsupported}", setting.origin)),
        }
    }
    Ok(warnings)
}

fn read_owners(settings: &mut Settings<'_>, to: &mut Interception) -> Result<()> {
    if settings.text(&flags::PROXY_UID).is_empty() {
        to.proxy_uids = vec![envoy_user(settings)?];
    } else {
        to.proxy_uids = settings.list(&flags::PROXY_UID, str::parse::<Uid>)?;
    }
    to.proxy_gids = settings.list(&flags::PROXY_GID, str::parse::<Gid>)?;
    if to.proxy_gids.is_empty() {
        to.proxy_gids = to.proxy_uids.iter().map(|uid| Gid(uid.0)).collect();
    }
    Ok(())
}

/// The user of Envoy, which Istio looks up where no user ID is given. The name is `istio-proxy` if
/// the variable is not set, and 1337 is the ID of that user in Istio's images.
fn envoy_user(settings: &mut Settings<'_>) -> Result<Uid> {
    const VARIABLE: &str = "ENVOY_USER";
    const ISTIO_PROXY: Uid = Uid(1337);
    let Some(name) = settings
        .variable(VARIABLE)
        .filter(|name| name != "istio-proxy")
    else {
        return Ok(ISTIO_PROXY);
    };
    let file = settings
        .read_file(USERS)
        .map_err(|source| SettingError::Unreadable {
            origin: Origin::Environment(VARIABLE.to_owned()),
            path: USERS,
            source,
        })?;
    Ok(account_file::id_of(&file, &name).unwrap_or_else(|| {
        settings.warn(format!(
            "environment {VARIABLE} = `{}`: no such user in {USERS}, using {ISTIO_PROXY}",
            excerpt(&name, 1)
        ));
        ISTIO_PROXY
    }))
}

fn read_inbound(settings: &Settings<'_>, to: &mut Interception) -> Result<()> {
    // Also in mode REDIRECT, so that a wrong value is found before the mode changes.
    let routing = routing(settings)?;
    let mode = |text: &str| match text {
        "" => Ok(Mode::Redirect),
        text => Ok(match text.parse()? {
            Mode::Tproxy(_) => Mode::Tproxy(routing),
            Mode::Redirect => Mode::Redirect,
        }),
    };
    to.mode = settings.one(&flags::INTERCEPTION_MODE, mode)?;
    let excluded = settings.ports(&flags::EXCLUDE_INBOUND_PORTS)?;
    let captured = settings.selected(&flags::INBOUND_PORTS, str::parse)?;
    to.inbound = match captured {
        Selected::All => InboundCapture::AllExcept(excluded),
        Selected::Only(ports) => InboundCapture::only(ports),
    };
    Ok(())
}

fn read_outbound(settings: &Settings<'_>, to: &mut Interception) -> Result<()> {
    let captured = settings.selected(&flags::SERVICE_CIDR, network)?;
    to.outbound_ranges = match captured {
        Selected::All => OutboundRanges::All,
        Selected::Only(ranges) => OutboundRanges::Only(ranges),
    };
    to.exclude_outbound_ranges = settings.list(&flags::EXCLUDE_SERVICE_CIDR, network)?;
    to.exclude_outbound_ports = settings.ports(&flags::EXCLUDE_OUTBOUND_PORTS)?;
    to.outbound_ports = settings.ports(&flags::OUTBOUND_PORTS)?;
    if let Some(loopback) = groups::ipv4_loopback(settings)? {
        to.ipv4_loopback = loopback;
    }
    Ok(())
}

/// The proxy marks its own packets with the next mark, so the last mark is not allowed. Neither are
/// the kernel's own tables (`RT_TABLE_DEFAULT`, `_MAIN`, `_LOCAL` in linux/rtnetlink.h).
fn routing(settings: &Settings<'_>) -> Result<PolicyRouting> {
    let mark = |text: &str| decimal(text).filter(|mark| (1..u32::MAX).contains(mark));
    let table = |text: &str| decimal(text).filter(|table| ![0, 253, 254, 255].contains(table));
    let expected_mark = "a packet mark: allowed are whole numbers from 1 to 4294967294";
    let expected_table = "a routing table: allowed are whole numbers from 1 to 4294967295 \
                          other than 253, 254 and 255, the kernel's own";
    Ok(PolicyRouting::new(
        settings.one(&flags::TPROXY_MARK, expecting(expected_mark, mark))?,
        settings.one(&flags::TPROXY_TABLE, expecting(expected_table, table))?,
    ))
}

fn interfaces(settings: &Settings<'_>, flag: &Flag) -> Result<Vec<InterfaceName>> {
    settings.list(flag, str::parse)
}
