//! The field `linkerd`: settings of Linkerd, with the field names of Linkerd's own plugin.

use mesh_cni_netfilter::value::InvalidValue;
use mesh_cni_netfilter::{Port, PortRange};
use mesh_cni_rules::linkerd::Interception;
use mesh_cni_rules::linkerd::settings::items;
use mesh_cni_rules::value::{InvalidItem, every_item, single};
use mesh_cni_rules::{InvalidSetting, SettingName};
use serde::Deserialize;

/// What the entry of Linkerd's plugin has in `linkerd`. Without a field, the default of Linkerd's Helm
/// chart for its plugin applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    expecting = "an object with the fields of Linkerd's plugin"
)]
#[non_exhaustive]
pub struct LinkerdConf {
    /// The proxy's port for inbound connections; the proxy's container has precedence. Default 4143.
    pub incoming_proxy_port: Option<u16>,
    /// The proxy's port for outbound connections; the proxy's container has precedence. Default 4140.
    pub outgoing_proxy_port: Option<u16>,
    /// The user of the proxy; its container has precedence. 0 and less: no rule. Default 2102.
    pub proxy_uid: Option<i64>,
    /// The group of the proxy; its container has precedence. 0 and less: no rule, which is the default.
    pub proxy_gid: Option<i64>,
    /// The inbound ports that are redirected; if empty, all.
    pub ports_to_redirect: Vec<u16>,
    /// Inbound ports, or ranges such as `8000-8100`, that are not redirected. Default 4191 and 4190.
    pub inbound_ports_to_ignore: Option<Vec<String>>,
    /// Outbound ports or ranges that are not redirected.
    pub outbound_ports_to_ignore: Vec<String>,
    /// Sources (CIDR) whose inbound connections are not redirected.
    pub subnets_to_ignore: Vec<String>,
    /// Further sources (CIDR) whose inbound connections are not redirected.
    pub inbound_subnets_to_ignore: Vec<String>,
    /// Destinations (CIDR) to which outbound connections are not redirected.
    pub outbound_subnets_to_ignore: Vec<String>,
    /// Refused if true: no rules would be written.
    pub simulate: bool,
    /// Ignored: the back ends wait where they must.
    pub use_wait_flag: bool,
    /// Ignored: the plugin's `backend` decides.
    pub iptables_mode: IptablesMode,
    /// Whether rules are written for IPv6 too.
    pub ipv6: bool,
}

/// The values of `iptables-mode` in Linkerd's plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum IptablesMode {
    /// Not set.
    #[default]
    #[serde(rename = "")]
    Unset,
    /// `iptables-legacy`.
    Legacy,
    /// `iptables-nft`.
    Nft,
    /// `iptables`.
    Plain,
}

const EXPECTED_FALSE: &str = "false: no rules would be written";

impl LinkerdConf {
    /// What the field must be.
    pub(super) const EXPECTED: &str = "an object with the fields of Linkerd's plugin";

    /// Every field.
    pub(super) const FIELDS: [&str; 14] = [
        "incoming-proxy-port",
        "outgoing-proxy-port",
        "proxy-uid",
        "proxy-gid",
        "ports-to-redirect",
        "inbound-ports-to-ignore",
        "outbound-ports-to-ignore",
        "subnets-to-ignore",
        "inbound-subnets-to-ignore",
        "outbound-subnets-to-ignore",
        "simulate",
        "use-wait-flag",
        "iptables-mode",
        "ipv6",
    ];

    /// The interception of pods without settings of their own.
    pub fn interception(&self) -> Result<Interception, InvalidSetting> {
        let mut to = Interception::pod_default();
        if self.simulate {
            return read("linkerd.simulate", "true", |text| {
                single(text, |_| {
                    Err(InvalidValue {
                        expected: EXPECTED_FALSE,
                    })
                })
            });
        }
        if let Some(number) = self.incoming_proxy_port {
            to.inbound_port = port("linkerd.incoming-proxy-port", number)?;
        }
        if let Some(number) = self.outgoing_proxy_port {
            to.outbound_port = port("linkerd.outgoing-proxy-port", number)?;
        }
        if let Some(id) = self.proxy_uid {
            to.proxy_uid = read("linkerd.proxy-uid", &id.to_string(), |text| {
                single(text, items::user)
            })?;
        }
        if let Some(id) = self.proxy_gid {
            to.proxy_gid = read("linkerd.proxy-gid", &id.to_string(), |text| {
                single(text, items::group)
            })?;
        }
        let redirected = self.ports_to_redirect.iter();
        to.redirected_ports = redirected
            .filter_map(|port| PortRange::new(*port, *port))
            .collect();
        let ports = |field, list: &[String]| {
            read(field, &list.join(","), |text| every_item(text, items::port))
        };
        if let Some(list) = &self.inbound_ports_to_ignore {
            to.skipped_inbound_ports = ports("linkerd.inbound-ports-to-ignore", list)?;
        }
        to.skipped_outbound_ports = ports(
            "linkerd.outbound-ports-to-ignore",
            &self.outbound_ports_to_ignore,
        )?;
        let subnets = |field, list: &[String]| {
            read(field, &list.join(","), |text| {
                every_item(text, items::subnet)
            })
        };
        to.skipped_inbound_subnets = subnets("linkerd.subnets-to-ignore", &self.subnets_to_ignore)?;
        to.skipped_inbound_subnets.extend(subnets(
            "linkerd.inbound-subnets-to-ignore",
            &self.inbound_subnets_to_ignore,
        )?);
        to.skipped_outbound_subnets = subnets(
            "linkerd.outbound-subnets-to-ignore",
            &self.outbound_subnets_to_ignore,
        )?;
        to.ipv6 = self.ipv6;
        Ok(to)
    }
}

fn port(field: &'static str, number: u16) -> Result<Port, InvalidSetting> {
    read(field, &number.to_string(), |text| {
        single(text, str::parse::<Port>)
    })
}

fn read<T>(
    field: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
) -> Result<T, InvalidSetting> {
    parse(text).map_err(|problem| InvalidSetting::new(SettingName::Field(field), text, problem))
}
