//! Reads what the flags of linkerd2-proxy-init ask for.

use mesh_cni_netfilter::{Family, PortRange};
use mesh_cni_netns::{Backend, BackendChoice};
use mesh_cni_rules::linkerd::Interception;
use mesh_cni_rules::linkerd::settings::items;

use super::Request;
use super::error::SettingError;
use super::flags::linkerd as flags;
use super::go::decimal;
use super::report::Action;
use super::settings::{Settings, expecting};

type Result<T> = std::result::Result<T, SettingError>;

const EXPECTED_PORT: &str = "a port: allowed are whole numbers from 0 to 65535";
const EXPECTED_SECONDS: &str =
    "a number of seconds: allowed are whole numbers from 0 to 4294967295";
const EXPECTED_MODE: &str = "a mode of iptables: allowed are `legacy`, `nft` and `plain`";
const EXPECTED_PROGRAM: &str =
    "a program: allowed are `iptables-legacy`, `iptables-nft` and `iptables`";
const EXPECTED_FORMAT: &str = "a log format: allowed are `plain` and `json`";
const EXPECTED_LEVEL: &str = "a log level: allowed are `panic`, `fatal`, `error`, `warn`, `info`, \
    `debug` and `trace`";

pub(super) fn request(settings: &mut Settings<'_>) -> Result<Request> {
    let print = settings.switch(&flags::SIMULATE)?;
    let action = match (print, settings.switch(&flags::CLEANUP_ONLY)?) {
        (true, true) => Action::PrintRemoval,
        (true, false) => Action::Print,
        (false, true) => Action::Remove,
        (false, false) => Action::Apply,
    };
    let interception = interception(settings)?;
    if action.compiles() {
        settings.warnings.extend(warnings(&interception));
    }
    let backend = backend(settings)?;
    let seconds = settings.one(
        &flags::TIMEOUT_CLOSE_WAIT,
        expecting(EXPECTED_SECONDS, decimal),
    )?;
    check_without_effect(settings)?;
    Ok(Request {
        action,
        interception: mesh_cni_rules::Interception::Linkerd(interception),
        backend,
        validation: None,
        close_wait_timeout: Some(seconds).filter(|seconds| *seconds != 0),
        namespace: None,
    })
}

/// The interception that the settings ask for.
pub(super) fn interception(settings: &mut Settings<'_>) -> Result<Interception> {
    let mut to = Interception::command_default();
    for (flag, port) in [
        (&flags::INCOMING_PROXY_PORT, &mut to.inbound_port),
        (&flags::OUTGOING_PROXY_PORT, &mut to.outbound_port),
    ] {
        // Neither is required with --cleanup-only.
        if settings.is_set(flag) {
            *port = settings.port(flag)?;
        }
    }
    to.proxy_uid = settings.one(&flags::PROXY_UID, items::user)?;
    to.proxy_gid = settings.one(&flags::PROXY_GID, items::group)?;
    to.redirected_ports =
        settings.every(&flags::PORTS_TO_REDIRECT, expecting(EXPECTED_PORT, number))?;
    to.skipped_inbound_ports = settings.every(&flags::INBOUND_PORTS_TO_IGNORE, items::port)?;
    to.skipped_outbound_ports = settings.every(&flags::OUTBOUND_PORTS_TO_IGNORE, items::port)?;
    to.skipped_inbound_subnets = settings.every(&flags::SUBNETS_TO_IGNORE, items::subnet)?;
    to.ipv6 = settings.switch(&flags::IPV6)?;
    Ok(to)
}

/// What is unusual about an interception.
pub(super) fn warnings(interception: &Interception) -> Vec<String> {
    let mut warnings = Vec::new();
    if interception.proxy_uid.is_none() && interception.proxy_gid.is_none() {
        warnings.push(
            "the rules exempt no user and no group, so the proxy's own traffic returns to it: set \
             --proxy-uid, usually to 2102"
                .to_owned(),
        );
    }
    let families = interception.families();
    let mut subnets = interception.skipped_inbound_subnets.iter();
    if let Some(subnet) = subnets.find(|subnet| !families.contains(&Family::of(subnet))) {
        warnings.push(format!(
            "flag --subnets-to-ignore: no rule is written for `{subnet}`: --ipv6 is false"
        ));
    }
    warnings
}

fn number(text: &str) -> Option<PortRange> {
    let port = decimal(text)?.try_into().ok()?;
    PortRange::new(port, port)
}

/// The mode selects a back end only where it is `legacy`: the rules of all others are the same to the
/// kernel.
fn backend(settings: &mut Settings<'_>) -> Result<BackendChoice> {
    let legacy = BackendChoice::Only(Backend::IptablesLegacy);
    let of_mode = |text: &str| match text {
        "" => Some(None),
        "nft" | "plain" => Some(Some(BackendChoice::Auto)),
        "legacy" => Some(Some(legacy)),
        _ => None,
    };
    let of_program = |text: &str| match text {
        "" | "iptables" | "iptables-nft" => Some(BackendChoice::Auto),
        "iptables-legacy" => Some(legacy),
        _ => None,
    };
    let mode = settings.one(&flags::IPTABLES_MODE, expecting(EXPECTED_MODE, of_mode))?;
    let program = settings.one(
        &flags::FIREWALL_BIN_PATH,
        expecting(EXPECTED_PROGRAM, of_program),
    )?;
    if mode.is_some_and(|mode| mode != program) && settings.is_set(&flags::FIREWALL_BIN_PATH) {
        let (program, mode) = (
            settings.origin(&flags::FIREWALL_BIN_PATH),
            settings.origin(&flags::IPTABLES_MODE),
        );
        settings.warn(format!("{program} has no effect with {mode}"));
    }
    Ok(mode.unwrap_or(program))
}

/// These flags change nothing here, but their values must be valid.
fn check_without_effect(settings: &mut Settings<'_>) -> Result<()> {
    let format = |text: &str| ["plain", "json"].contains(&text).then_some(());
    settings.one(&flags::LOG_FORMAT, expecting(EXPECTED_FORMAT, format))?;
    let level = |text: &str| match text.to_lowercase().as_str() {
        "panic" | "fatal" | "error" | "warn" | "warning" | "info" | "debug" | "trace" => Some(()),
        _ => None,
    };
    settings.one(&flags::LOG_LEVEL, expecting(EXPECTED_LEVEL, level))?;
    settings.switch(&flags::USE_WAIT_FLAG)?;
    Ok(())
}
