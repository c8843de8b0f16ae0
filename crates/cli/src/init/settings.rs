//! From flags, environment and defaults to an interception; every wrong value is refused by name.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_netfilter::value::{
    EXPECTED_NETWORK, Gid, InterfaceName, Port, Uid, excerpt, network,
};
use mesh_cni_netns::{Backend, BackendChoice};
use mesh_cni_rules::interception::{InboundCapture, Mode, OutboundRanges};
use mesh_cni_rules::value::{
    InvalidItem, Selected, UnwrittenRanges, boolean, list, single, wildcard_or_list,
};
use mesh_cni_rules::{Dialect, Interception};

use super::dns;
use super::error::{Origin, SettingError};
use super::flags::{self, Flag, GivenFlags, Takes};
use super::go::{decimal, duration};
use super::groups;

/// Reads a variable of the environment.
pub(crate) type Lookup<'env> = &'env dyn Fn(&str) -> Option<String>;

/// Reads a file to its end.
pub(crate) type ReadFile<'env> = &'env dyn Fn(&str) -> io::Result<String>;

/// Flags over environment over defaults.
pub(crate) struct Settings<'env> {
    given: &'env GivenFlags,
    lookup: Lookup<'env>,
    read: ReadFile<'env>,
    /// What was odd, one line each.
    pub(crate) warnings: Vec<String>,
}

/// A value and where it came from.
struct Found {
    value: String,
    origin: Origin,
}

type Outcome<T> = Result<T, SettingError>;

impl<'env> Settings<'env> {
    pub(crate) fn new(given: &'env GivenFlags, lookup: Lookup<'env>, read: ReadFile<'env>) -> Self {
        Self {
            given,
            lookup,
            read,
            warnings: Vec::new(),
        }
    }

    /// The interception that the settings ask for.
    pub(crate) fn interception(&mut self) -> Outcome<Interception> {
        let mut to = Interception::command_default();
        self.read_ports(&mut to)?;
        self.read_owners(&mut to)?;
        self.read_inbound(&mut to)?;
        self.read_outbound(&mut to)?;
        to.exclude_interfaces = self.interfaces(&flags::EXCLUDE_INTERFACES)?;
        to.reroute_interfaces = self.interfaces(&flags::REROUTE_INTERFACES)?;
        to.owner_groups = groups::owner_groups(self.lookup, self.read)?;
        to.dns = dns::capture(self)?;
        to.drop_invalid = self.switch(&flags::DROP_INVALID)?;
        to.dual_stack = self.switch(&flags::DUAL_STACK)?;
        Ok(to)
    }

    /// Which rules.
    pub(crate) fn dialect(&self) -> Outcome<Dialect> {
        let expected = "a rule set: allowed are `asm` and `istio`";
        self.one(
            &flags::RULESET,
            |text| Dialect::from_str(text).ok(),
            expected,
        )
    }

    /// Which back end.
    pub(crate) fn backend(&mut self) -> Outcome<BackendChoice> {
        let chosen = self.program_backend()?;
        if !self.switch(&flags::NATIVE_NFTABLES)? {
            return Ok(chosen);
        }
        match chosen {
            BackendChoice::Auto => Ok(BackendChoice::Only(Backend::NftNative)),
            _ => Err(SettingError::TwoBackEnds {
                native: self.origin(&flags::NATIVE_NFTABLES),
                program: self.origin(&flags::FORCE_IPTABLES_BINARY),
                value: self.text(&flags::FORCE_IPTABLES_BINARY),
            }),
        }
    }

    /// The back end whose programs are asked for; any where none are.
    fn program_backend(&self) -> Outcome<BackendChoice> {
        let expected = "a kind of iptables: allowed are `nft` and `legacy`";
        let parse = |text: &str| match text {
            "" => Some(BackendChoice::Auto),
            "nft" | "iptables-nft" => Some(BackendChoice::Only(Backend::IptablesNft)),
            "legacy" | "iptables-legacy" => Some(BackendChoice::Only(Backend::IptablesLegacy)),
            _ => None,
        };
        self.one(&flags::FORCE_IPTABLES_BINARY, parse, expected)
    }

    /// The value as a text; empty where nobody set it.
    pub(crate) fn text(&self, flag: &Flag) -> String {
        self.found(flag).value
    }

    /// Whether a switch is on. Only from the environment may a value be no boolean: then it counts
    /// as false, with a warning, as in Istio.
    pub(crate) fn switch(&mut self, flag: &Flag) -> Outcome<bool> {
        let found = self.found(flag);
        match (boolean(&found.value), &found.origin) {
            (Some(on), _) => Ok(on),
            (None, Origin::Environment(variable)) => {
                self.warn(format!(
                    "environment {variable}=`{}` is no boolean and counts as false",
                    excerpt(&found.value, 1)
                ));
                Ok(false)
            }
            (None, Origin::Flag(_)) => {
                let expected = "a boolean: allowed are `true` and `false`";
                let parsed = single(&found.value, boolean, expected);
                parsed.map_err(refusal(found))
            }
        }
    }

    /// Adds a warning; the same one is told once.
    pub(crate) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The text of a file of the system.
    pub(crate) fn read_file(&self, path: &str) -> io::Result<String> {
        (self.read)(path)
    }

    /// Where the value was written.
    pub(crate) fn origin(&self, flag: &Flag) -> Origin {
        self.found(flag).origin
    }

    /// Switches that change nothing here must be booleans nevertheless.
    pub(crate) fn check_accepted(&mut self) -> Outcome<()> {
        for flag in [&flags::RECONCILE, &flags::FORCE_APPLY, &flags::CNI_MODE] {
            self.switch(flag)?;
        }
        Ok(())
    }

    fn read_ports(&self, to: &mut Interception) -> Outcome<()> {
        to.outbound_capture_port = self.port(&flags::ENVOY_PORT)?;
        to.inbound_capture_port = self.port(&flags::INBOUND_CAPTURE_PORT)?;
        to.tunnel_port = self.port(&flags::INBOUND_TUNNEL_PORT)?;
        Ok(())
    }

    fn read_owners(&self, to: &mut Interception) -> Outcome<()> {
        to.proxy_uids = self.list(&flags::PROXY_UID, Uid::parse, Uid::EXPECTED)?;
        to.proxy_gids = self.list(&flags::PROXY_GID, Gid::parse, Gid::EXPECTED)?;
        if to.proxy_gids.is_empty() {
            to.proxy_gids = to.proxy_uids.iter().map(|uid| Gid(uid.0)).collect();
        }
        Ok(())
    }

    fn read_inbound(&self, to: &mut Interception) -> Outcome<()> {
        // Under REDIRECT too: a typo is told today, not when the mode changes.
        let routing = self.routing()?;
        let mode = |text: &str| match text {
            "" => Some(Mode::Redirect),
            text => match Mode::parse(text)? {
                Mode::Tproxy(_) => Some(Mode::Tproxy(routing)),
                Mode::Redirect => Some(Mode::Redirect),
            },
        };
        to.mode = self.one(&flags::INTERCEPTION_MODE, mode, Mode::EXPECTED)?;
        let excluded = self.ports(&flags::EXCLUDE_INBOUND_PORTS)?;
        let captured = self.selected(&flags::INBOUND_PORTS, Port::parse, Port::EXPECTED)?;
        to.inbound = match captured {
            Selected::All => InboundCapture::AllExcept(excluded),
            Selected::Only(ports) => InboundCapture::only(ports),
        };
        Ok(())
    }

    fn read_outbound(&self, to: &mut Interception) -> Outcome<()> {
        let captured = self.selected(&flags::SERVICE_CIDR, network, EXPECTED_NETWORK)?;
        to.outbound_ranges = match captured {
            Selected::All => OutboundRanges::All,
            Selected::Only(ranges) => OutboundRanges::Only(ranges),
        };
        to.exclude_outbound_ranges =
            self.list(&flags::EXCLUDE_SERVICE_CIDR, network, EXPECTED_NETWORK)?;
        to.exclude_outbound_ports = self.ports(&flags::EXCLUDE_OUTBOUND_PORTS)?;
        to.outbound_ports = self.ports(&flags::OUTBOUND_PORTS)?;
        if let Some(loopback) = groups::ipv4_loopback(self.lookup)? {
            to.ipv4_loopback = loopback;
        }
        Ok(())
    }

    /// Ranges of a family of which no rules are written, one line a setting: lists often come from
    /// the mesh as a whole. Captured ranges of which none can be are refused.
    pub(crate) fn check_families(&self, families: &[Family]) -> Outcome<Vec<String>> {
        let mut told = Vec::new();
        for flag in [&flags::SERVICE_CIDR, &flags::EXCLUDE_SERVICE_CIDR] {
            let found = self.found(flag);
            let Some(unwritten) = UnwrittenRanges::find(&found.value, families) else {
                continue;
            };
            let captures = flag.long == flags::SERVICE_CIDR.long;
            match unwritten.as_refusal().filter(|_| captures) {
                Some(problem) => return Err(refusal(found)(problem)),
                None => told.push(format!("{}: {unwritten}", found.origin)),
            }
        }
        Ok(told)
    }

    /// The mark behind it is that of the proxy's own packets, so the last one is not free; nor
    /// are the tables of the kernel itself.
    fn routing(&self) -> Outcome<PolicyRouting> {
        let mark = |text: &str| decimal(text).filter(|mark| (1..u32::MAX).contains(mark));
        let table = |text: &str| decimal(text).filter(|table| ![0, 253, 254, 255].contains(table));
        let expected_mark = "a packet mark: allowed are whole numbers from 1 to 4294967294";
        let expected_table = "a routing table: allowed are whole numbers from 1 to 4294967295 \
                              other than 253, 254 and 255, the kernel's own";
        Ok(PolicyRouting {
            mark: self.one(&flags::TPROXY_MARK, mark, expected_mark)?,
            table: self.one(&flags::TPROXY_TABLE, table, expected_table)?,
        })
    }

    /// Where the probe of the validation knocks.
    pub(crate) fn probe_port(&self) -> Outcome<Port> {
        self.port(&flags::PROBE_PORT)
    }

    /// How long the probe of the validation waits.
    pub(crate) fn probe_timeout(&self) -> Outcome<Duration> {
        let day = Duration::from_secs(24 * 60 * 60);
        let timeout = |text: &str| duration(text).filter(|time| !time.is_zero() && *time <= day);
        let expected = "a duration: allowed are forms such as `5s`, `1m30s` and `500ms`, \
                        above 0 and up to `24h`";
        self.one(&flags::PROBE_TIMEOUT, timeout, expected)
    }

    fn port(&self, flag: &Flag) -> Outcome<Port> {
        self.one(flag, Port::parse, Port::EXPECTED)
    }

    fn ports(&self, flag: &Flag) -> Outcome<Vec<Port>> {
        self.list(flag, Port::parse, Port::EXPECTED)
    }

    fn interfaces(&self, flag: &Flag) -> Outcome<Vec<InterfaceName>> {
        self.list(flag, InterfaceName::parse, InterfaceName::EXPECTED)
    }

    fn one<T>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Outcome<T> {
        let found = self.found(flag);
        let parsed = single(&found.value, parse, expected);
        parsed.map_err(refusal(found))
    }

    fn list<T: Ord + Clone>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Outcome<Vec<T>> {
        let found = self.found(flag);
        let parsed = list(&found.value, parse, expected);
        parsed.map_err(refusal(found))
    }

    fn selected<T: Ord + Clone>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Outcome<Selected<T>> {
        let found = self.found(flag);
        let parsed = wildcard_or_list(&found.value, parse, expected);
        parsed.map_err(refusal(found))
    }

    fn found(&self, flag: &Flag) -> Found {
        let origin = Origin::Flag(flag.long);
        if let Some(value) = self.given.get(flag) {
            let value = value.to_owned();
            return Found { value, origin };
        }
        let mut variables = flag.variables().into_iter();
        let set = variables.find_map(|variable| {
            let value = (self.lookup)(&variable).filter(|value| !value.is_empty())?;
            let origin = Origin::Environment(variable);
            Some(Found { value, origin })
        });
        let value = match (flag.takes, flag.default) {
            (Takes::Switch, "") => "false".to_owned(),
            (_, default) => default.to_owned(),
        };
        set.unwrap_or(Found { value, origin })
    }
}

fn refusal(found: Found) -> impl FnOnce(InvalidItem) -> SettingError {
    let Found { value, origin } = found;
    move |problem| SettingError::Item {
        origin,
        value,
        problem,
    }
}
