//! Reads results of every version into the newest shape.

use std::net::IpAddr;

use serde_json::Value;

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::json::{self, Object};
use crate::version::ResultShape;
use crate::{CniError, SpecVersion, UnknownVersion};

/// Reads the result at `path`; `version` applies if the result contains none.
pub(super) fn result(
    path: &str,
    value: &Value,
    version: Option<SpecVersion>,
) -> Result<CniResult, CniError> {
    let mut fields = Object::new(path, value)?;
    let version = own_version(path, value)?
        .or(version)
        .unwrap_or_else(|| guess(&fields));
    fields.take("cniVersion");
    match version.shape() {
        ResultShape::PerFamily => per_family(fields),
        ResultShape::VersionedIps | ResultShape::PlainIps => lists(fields, version),
    }
}

/// The `cniVersion` of the result at `path`, unless it is missing or empty.
pub(crate) fn own_version(path: &str, result: &Value) -> Result<Option<SpecVersion>, CniError> {
    let path = json::join(path, "cniVersion");
    match result.get("cniVersion") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|error: UnknownVersion| {
            CniError::incompatible(&path, &error.found, SpecVersion::ALL)
        }),
        Some(other) => Err(json::invalid(&path, other, "a string")),
    }
}

pub(crate) fn dns(mut fields: Object) -> Result<Dns, CniError> {
    Ok(Dns {
        nameservers: fields.texts("nameservers")?,
        domain: fields.non_empty_text("domain")?,
        search: fields.texts("search")?,
        options: fields.texts("options")?,
        extra: fields.rest(),
    })
}

fn guess(fields: &Object) -> SpecVersion {
    if fields.has("ip4") || fields.has("ip6") {
        SpecVersion::V0_2_0
    } else {
        SpecVersion::LATEST
    }
}

fn lists(mut fields: Object, version: SpecVersion) -> Result<CniResult, CniError> {
    Ok(CniResult {
        interfaces: fields.objects("interfaces", |item| interface(item, version))?,
        ips: fields.objects("ips", |item| ip(item, version))?,
        routes: fields.objects("routes", |item| route(item, version))?,
        dns: fields.object("dns", dns)?.unwrap_or_default(),
        extra: fields.rest(),
    })
}

/// Keys that the version does not define remain in `extra` unchecked.
fn interface(mut fields: Object, version: SpecVersion) -> Result<Interface, CniError> {
    let mut interface = Interface {
        name: fields.required_text("name")?,
        mac: fields.non_empty_text("mac")?,
        sandbox: fields.non_empty_text("sandbox")?,
        ..Interface::default()
    };
    if version >= SpecVersion::V1_1_0 {
        interface.mtu = fields.number("mtu")?;
        interface.socket_path = fields.text("socketPath")?;
        interface.pci_id = fields.text("pciID")?;
    }
    interface.extra = fields.rest();
    Ok(interface)
}

fn ip(mut fields: Object, version: SpecVersion) -> Result<IpConfig, CniError> {
    if version.shape() == ResultShape::VersionedIps {
        // The address determines it.
        fields.take("version");
    }
    Ok(IpConfig {
        address: fields.network("address")?,
        gateway: fields.address("gateway")?,
        interface: fields.number("interface")?,
        extra: fields.rest(),
    })
}

fn route(mut fields: Object, version: SpecVersion) -> Result<Route, CniError> {
    let mut route = Route::new(fields.network("dst")?);
    route.gw = fields.address("gw")?;
    if version >= SpecVersion::V1_1_0 {
        route.mtu = fields.number("mtu")?;
        route.advmss = fields.number("advmss")?;
        route.priority = fields.number("priority")?;
        route.table = fields.number("table")?;
        route.scope = fields.number("scope")?;
    }
    route.extra = fields.rest();
    Ok(route)
}

fn per_family(mut fields: Object) -> Result<CniResult, CniError> {
    let mut result = CniResult::default();
    for (key, expected, is_family) in [
        (
            "ip4",
            "an IPv4 address",
            IpAddr::is_ipv4 as fn(&IpAddr) -> bool,
        ),
        ("ip6", "an IPv6 address", IpAddr::is_ipv6),
    ] {
        let family = fields.object(key, |mut family| {
            let address = family.network("ip")?;
            if !is_family(&address.ip()) {
                let value = Value::String(address.to_string());
                return Err(json::invalid(&family.path_of("ip"), &value, expected));
            }
            let gateway = family.address("gateway")?;
            let routes = family.objects("routes", |item| route(item, SpecVersion::V0_2_0))?;
            let ip = IpConfig {
                address,
                gateway,
                interface: None,
                extra: family.rest(),
            };
            Ok((ip, routes))
        })?;
        if let Some((ip, routes)) = family {
            result.ips.push(ip);
            result.routes.extend(routes);
        }
    }
    result.dns = fields.object("dns", dns)?.unwrap_or_default();
    result.extra = fields.rest();
    Ok(result)
}
