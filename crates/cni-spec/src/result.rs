//! What an ADD answers, in the newest shape; older shapes are read and written by conversion.

mod decode;
mod encode;

pub(crate) use decode::own_version;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use crate::{CniError, SpecVersion};

/// The result of an ADD, in the shape of 1.1.0.
///
/// `extra` holds, here and at each level below, the keys that the result's own version does not
/// define. They are written again by every conversion whose target still has that level.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CniResult {
    /// The interfaces that plugins made, inside the container and on the host.
    pub interfaces: Vec<Interface>,
    /// The addresses that they got.
    pub ips: Vec<IpConfig>,
    /// The routes inside the container.
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
    /// Its hardware address, where it has one.
    pub mac: Option<String>,
    /// Its MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// The path of its network namespace; absent for interfaces of the host.
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
    /// The gateway of its subnet, where there is one.
    pub gateway: Option<IpAddr>,
    /// Which interface has it, as an index into [`CniResult::interfaces`].
    pub interface: Option<u32>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

/// A route inside the container.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The destination.
    pub dst: IpNetwork,
    /// The next hop; absent means the default gateway of the family.
    pub gw: Option<IpAddr>,
    /// The MTU in bytes. Since 1.1.0.
    pub mtu: Option<u32>,
    /// The maximal segment size to announce, in bytes (`advmss`). Since 1.1.0.
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

/// Name resolution inside the container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dns {
    /// Name servers, most preferred first.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// Search domains, most preferred first.
    pub search: Vec<String>,
    /// Options for the resolver.
    pub options: Vec<String>,
    /// Unknown keys.
    pub extra: Map<String, Value>,
}

impl CniResult {
    /// Reads a result by its own `cniVersion`.
    ///
    /// A result without one is taken for what it looks like: 0.2.0 when it has `ip4` or `ip6`,
    /// else the newest version. An unknown version is an error of code 1; a field of the wrong
    /// type one of code 7 that names its path and value.
    pub fn from_value(value: &Value) -> Result<Self, CniError> {
        decode::result("", value, None)
    }

    /// As [`CniResult::from_value`], with the version of a result that names none.
    pub fn from_value_as(value: &Value, version: SpecVersion) -> Result<Self, CniError> {
        decode::result("", value, Some(version))
    }

    /// A configuration's `prevResult`; errors name paths below that key.
    pub(crate) fn from_prev(value: &Value, version: SpecVersion) -> Result<Self, CniError> {
        decode::result("prevResult", value, Some(version))
    }

    /// The result in the shape of a version, with its `cniVersion`.
    ///
    /// What that version cannot say is left out, see [`CniResult::losses`]. Empty lists and an
    /// empty `dns` are left out too.
    pub fn to_value(&self, version: SpecVersion) -> Value {
        encode::result(self, version).0
    }

    /// The paths of what [`CniResult::to_value`] leaves out, in this result's own terms:
    ///
    /// - before 1.1.0: `mtu`, `socketPath` and `pciID` of interfaces; `mtu`, `advmss`,
    ///   `priority`, `table` and `scope` of routes;
    /// - before 0.3.0 also: every interface, the `interface` of an address, all but the first
    ///   address of a family, and routes of a family without an address.
    pub fn losses(&self, version: SpecVersion) -> Vec<String> {
        encode::result(self, version).1
    }
}

impl Interface {
    /// An interface of which only the name is known.
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
    /// A route by the default gateway.
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
    /// Is there nothing to say?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the `dns` of a configuration or result found at `path`.
    pub(crate) fn from_object(fields: crate::json::Object) -> Result<Self, CniError> {
        decode::dns(fields)
    }
}
