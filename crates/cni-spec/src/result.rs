//! The result of an ADD in the newest shape, with conversions from and to older shapes.

mod decode;
mod encode;

pub(crate) use decode::{dns, own_version};

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use crate::{CniError, SpecVersion};

/// The result of an ADD, in the shape of 1.1.0.
///
/// At each level, `extra` contains the keys that the result's own version does not define. A
/// conversion keeps them if the target version has that level and does not define them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CniResult {
    /// The interfaces that plugins created in the container and on the host.
    pub interfaces: Vec<Interface>,
    /// The addresses of the interfaces.
    pub ips: Vec<IpConfig>,
    /// The routes in the container.
    pub routes: Vec<Route>,
    /// Name resolution.
    pub dns: Dns,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, if any.
    pub mac: Option<String>,
    /// Its MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// The path of its network namespace; `None` for interfaces of the host.
    pub sandbox: Option<String>,
    /// The absolute path of its socket file (`socketPath`). Since 1.1.0.
    pub socket_path: Option<String>,
    /// Its PCI address (`pciID`). Since 1.1.0.
    pub pci_id: Option<String>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

/// An address of the container.
#[derive(Debug, Clone, PartialEq)]
pub struct IpConfig {
    /// The address with its prefix length.
    pub address: IpNetwork,
    /// The gateway of its subnet, if any.
    pub gateway: Option<IpAddr>,
    /// The interface that has it, as an index into [`CniResult::interfaces`].
    pub interface: Option<u32>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

/// A route in the container.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The destination.
    pub dst: IpNetwork,
    /// The next hop; `None` means the default gateway of the family.
    pub gw: Option<IpAddr>,
    /// The MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// The maximum segment size to advertise, in bytes (`advmss`). Since 1.1.0.
    pub advmss: Option<u32>,
    /// The priority; lower is preferred. Since 1.1.0.
    pub priority: Option<u32>,
    /// The number of the routing table. Since 1.1.0.
    pub table: Option<u32>,
    /// The number of the scope. Since 1.1.0.
    pub scope: Option<u32>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

/// Name resolution in the container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dns {
    /// Name servers, in order of preference.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// Search domains, in order of preference.
    pub search: Vec<String>,
    /// Options for the resolver.
    pub options: Vec<String>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

impl CniResult {
    /// Reads a result in the version of its `cniVersion`.
    ///
    /// Without `cniVersion`, a result with `ip4` or `ip6` is read as 0.2.0, any other as the newest
    /// version. Fails with code 1 for an unknown version, and with code 7 for an invalid field.
    pub fn from_value(value: &Value) -> Result<Self, CniError> {
        decode::result("", value, None)
    }

    /// As [`CniResult::from_value`], with the version of results without `cniVersion`.
    pub fn from_value_as(value: &Value, version: SpecVersion) -> Result<Self, CniError> {
        decode::result("", value, Some(version))
    }

    /// Reads a configuration's `prevResult`; errors contain paths below that key.
    pub(crate) fn from_prev(value: &Value, version: SpecVersion) -> Result<Self, CniError> {
        decode::result("prevResult", value, Some(version))
    }

    /// The result in the shape of a version, with its `cniVersion`.
    ///
    /// Omits what that version cannot represent (see [`CniResult::losses`]), empty lists and an
    /// empty `dns`.
    pub fn to_value(&self, version: SpecVersion) -> Value {
        encode::result(self, version).0
    }

    /// The paths in this result of what [`CniResult::to_value`] omits:
    ///
    /// - before 1.1.0: `mtu`, `socketPath` and `pciID` of interfaces; `mtu`, `advmss`,
    ///   `priority`, `table` and `scope` of routes;
    /// - before 0.3.0 also: every interface, the `interface` of an address, all but the first
    ///   address of a family, and routes of a family without an address;
    /// - an unknown key of the result's own version that this version defines.
    pub fn losses(&self, version: SpecVersion) -> Vec<String> {
        encode::result(self, version).1
    }
}

impl Interface {
    /// An interface with this name only.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl IpConfig {
    /// An address without gateway and interface.
    pub fn new(address: IpNetwork) -> Self {
        Self {
            address,
            gateway: None,
            interface: None,
            extra: Map::new(),
        }
    }
}

impl Route {
    /// A route through the default gateway.
    pub fn new(dst: IpNetwork) -> Self {
        Self {
            dst,
            gw: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            extra: Map::new(),
        }
    }
}

impl Dns {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
