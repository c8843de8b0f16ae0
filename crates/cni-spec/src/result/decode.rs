//! Reading a result of any version into the newest shape.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::json::Object;
use crate::version::ResultShape;
use crate::{CniError, SpecVersion, UnknownVersion};

/// Reads the result at `path`; `version` is meant by a result that names none.
pub(super) fn result(
    path: &str,
    value: &Value,
    version: Option<SpecVersion>,
) -> Result<CniResult, CniError> {
    let mut fields = Object::new(path, value)?;
    let version = match own_version(path, value)? {
        Some(own) => own,
        None => version.unwrap_or_else(|| guess(&fields)),
    };
    fields.take("cniVersion");
    match version.shape() {
        ResultShape::PerFamily => per_family(fields),
        ResultShape::VersionedIps | ResultShape::PlainIps => lists(fields, version),
    }
}

/// The version that the result at `path` names; empty counts as none.
pub(crate) fn own_version(path: &str, result: &Value) -> Result<Option<SpecVersion>, CniError> {
    let path = crate::json::join(path, "cniVersion");
    let text = match result.get("cniVersion") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => return Err(crate::json::wrong(&path, other, "a string")),
    };
    let unknown =
        |error: UnknownVersion| CniError::incompatible(&path, &error.found, SpecVersion::ALL);
    text.parse().map(Some).map_err(unknown)
}

pub(super) fn dns(mut fields: Object) -> Result<Dns, CniError> {
    Ok(Dns {
        nameservers: fields.texts("nameservers")?,
        domain: fields.text("domain")?.filter(|domain| !domain.is_empty()),
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
    let interfaces = fields.objects("interfaces")?.into_iter();
    let ips = fields.objects("ips")?.into_iter();
    let routes = fields.objects("routes")?.into_iter();
    Ok(CniResult {
        interfaces: interfaces
            .map(|item| interface(item, version))
            .collect::<Result<_, _>>()?,
        ips: ips
            .map(|item| ip(item, version))
            .collect::<Result<_, _>>()?,
        routes: routes
            .map(|item| route(item, version))
            .collect::<Result<_, _>>()?,
        dns: fields
            .object("dns")?
            .map(dns)
            .transpose()?
            .unwrap_or_default(),
        extra: fields.rest(),
    })
}

/// Keys that a version does not define stay among the unknown ones, so that they are neither
/// judged nor lost.
fn interface(mut fields: Object, version: SpecVersion) -> Result<Interface, CniError> {
    let name = fields.text("name")?;
    let mut interface = Interface {
        name: fields.required("name", "a string", name)?,
        mac: fields.text("mac")?.filter(|mac| !mac.is_empty()),
        sandbox: fields
            .text("sandbox")?
            .filter(|sandbox| !sandbox.is_empty()),
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
    let address = address(&mut fields, "address")?;
    let gateway = fields.address("gateway")?;
    let interface = fields.number("interface")?;
    if version.shape() == ResultShape::VersionedIps {
        // The address says it too, and is written again from there.
        fields.take("version");
    }
    Ok(IpConfig {
        address,
        gateway,
        interface,
        extra: fields.rest(),
    })
}

fn route(mut fields: Object, version: SpecVersion) -> Result<Route, CniError> {
    let mut route = Route::new(address(&mut fields, "dst")?);
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
    for (key, is_family) in [
        ("ip4", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("ip6", IpAddr::is_ipv6),
    ] {
        if let Some(family) = fields.object(key)? {
            let (ip, routes) = family_config(family, key, is_family)?;
            result.ips.push(ip);
            result.routes.extend(routes);
        }
    }
    result.dns = fields
        .object("dns")?
        .map(dns)
        .transpose()?
        .unwrap_or_default();
    result.extra = fields.rest();
    Ok(result)
}

fn family_config(
    mut fields: Object,
    key: &str,
    is_family: fn(&IpAddr) -> bool,
) -> Result<(IpConfig, Vec<Route>), CniError> {
    let address = address(&mut fields, "ip")?;
    if !is_family(&address.ip()) {
        let value = Value::String(address.to_string());
        let expected = format!("an address of the family of `{key}`");
        return Err(crate::json::wrong(&fields.path_of("ip"), &value, &expected));
    }
    let gateway = fields.address("gateway")?;
    let routes = fields.objects("routes")?.into_iter();
    let routes = routes
        .map(|item| route(item, SpecVersion::V0_2_0))
        .collect::<Result<_, _>>()?;
    Ok((
        IpConfig {
            address,
            gateway,
            interface: None,
            extra: fields.rest(),
        },
        routes,
    ))
}

fn address(fields: &mut Object, key: &str) -> Result<IpNetwork, CniError> {
    let found = fields.network(key)?;
    fields.required(
        key,
        "an address with its prefix length, such as 10.0.0.2/24",
        found,
    )
}
