//! Writes results in the shape of every version, and lists what the version cannot represent.

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::SpecVersion;
use crate::version::ResultShape;

/// The result in the version's shape, and the paths of what is left out.
pub(super) fn result(result: &CniResult, version: SpecVersion) -> (Value, Vec<String>) {
    let mut encoder = Encoder {
        version,
        losses: Vec::new(),
    };
    let mut out = Map::new();
    put(&mut out, "cniVersion", Some(version.as_str()));
    match version.shape() {
        ResultShape::PerFamily => encoder.per_family(result, &mut out),
        ResultShape::VersionedIps | ResultShape::PlainIps => encoder.lists(result, &mut out),
    }
    if !result.dns.is_empty() {
        put(&mut out, "dns", Some(dns(&result.dns)));
    }
    (with_extra(out, &result.extra), encoder.losses)
}

/// The target version, and the paths of what it cannot represent.
struct Encoder {
    version: SpecVersion,
    losses: Vec<String>,
}

impl Encoder {
    fn lists(&mut self, result: &CniResult, out: &mut Map<String, Value>) {
        let interfaces = result.interfaces.iter().enumerate();
        let interfaces = list(interfaces.map(|(index, item)| self.interface(index, item)));
        put(out, "interfaces", interfaces);
        put(
            out,
            "ips",
            list(result.ips.iter().map(|item| self.ip(item))),
        );
        let routes = result.routes.iter().enumerate();
        let routes = list(routes.map(|(index, item)| self.route(index, item)));
        put(out, "routes", routes);
    }

    fn per_family(&mut self, result: &CniResult, out: &mut Map<String, Value>) {
        let interfaces = 0..result.interfaces.len();
        self.losses
            .extend(interfaces.map(|index| format!("interfaces[{index}]")));
        for (index, ip) in result.ips.iter().enumerate() {
            let key = if ip.address.is_ipv4() { "ip4" } else { "ip6" };
            if out.contains_key(key) {
                self.losses.push(format!("ips[{index}]"));
                continue;
            }
            if ip.interface.is_some() {
                self.losses.push(format!("ips[{index}].interface"));
            }
            let family = self.family(ip, &result.routes);
            put(out, key, Some(family));
        }
        // This shape has no place for routes of a family without an address.
        for (index, route) in result.routes.iter().enumerate() {
            if !result
                .ips
                .iter()
                .any(|ip| is_same_family(route, &ip.address))
            {
                self.losses.push(format!("routes[{index}]"));
            }
        }
    }

    fn family(&mut self, ip: &IpConfig, routes: &[Route]) -> Value {
        let routes = routes
            .iter()
            .enumerate()
            .filter(|(_, route)| is_same_family(route, &ip.address))
            .map(|(index, route)| self.route(index, route));
        let mut out = Map::new();
        put(&mut out, "ip", Some(ip.address.to_string()));
        put(
            &mut out,
            "gateway",
            ip.gateway.map(|address| address.to_string()),
        );
        put(&mut out, "routes", list(routes));
        with_extra(out, &ip.extra)
    }

    fn interface(&mut self, index: usize, interface: &Interface) -> Value {
        let path = format!("interfaces[{index}]");
        let mut out = Map::new();
        put(&mut out, "name", Some(interface.name.as_str()));
        put(&mut out, "mac", interface.mac.as_deref());
        self.since_1_1(&mut out, &path, "mtu", interface.mtu);
        put(&mut out, "sandbox", interface.sandbox.as_deref());
        let socket_path = interface.socket_path.as_deref();
        self.since_1_1(&mut out, &path, "socketPath", socket_path);
        self.since_1_1(&mut out, &path, "pciID", interface.pci_id.as_deref());
        with_extra(out, &interface.extra)
    }

    fn ip(&self, ip: &IpConfig) -> Value {
        let mut out = Map::new();
        if self.version.shape() == ResultShape::VersionedIps {
            let version = if ip.address.is_ipv4() { "4" } else { "6" };
            put(&mut out, "version", Some(version));
        }
        put(&mut out, "interface", ip.interface);
        put(&mut out, "address", Some(ip.address.to_string()));
        put(
            &mut out,
            "gateway",
            ip.gateway.map(|address| address.to_string()),
        );
        with_extra(out, &ip.extra)
    }

    fn route(&mut self, index: usize, route: &Route) -> Value {
        let path = format!("routes[{index}]");
        let mut out = Map::new();
        put(&mut out, "dst", Some(route.dst.to_string()));
        put(&mut out, "gw", route.gw.map(|address| address.to_string()));
        for (key, number) in [
            ("mtu", route.mtu),
            ("advmss", route.advmss),
            ("priority", route.priority),
            ("table", route.table),
            ("scope", route.scope),
        ] {
            self.since_1_1(&mut out, &path, key, number);
        }
        with_extra(out, &route.extra)
    }

    /// Writes a field of 1.1.0, or records its loss.
    fn since_1_1(
        &mut self,
        out: &mut Map<String, Value>,
        path: &str,
        key: &str,
        value: Option<impl Into<Value>>,
    ) {
        if self.version >= SpecVersion::V1_1_0 {
            put(out, key, value);
        } else if value.is_some() {
            self.losses.push(format!("{path}.{key}"));
        }
    }
}

fn dns(dns: &Dns) -> Value {
    let texts = |texts: &[String]| list(texts.iter().map(|text| text.as_str().into()));
    let mut out = Map::new();
    put(&mut out, "nameservers", texts(&dns.nameservers));
    put(&mut out, "domain", dns.domain.as_deref());
    put(&mut out, "search", texts(&dns.search));
    put(&mut out, "options", texts(&dns.options));
    with_extra(out, &dns.extra)
}

fn is_same_family(route: &Route, address: &IpNetwork) -> bool {
    route.dst.is_ipv4() == address.is_ipv4()
}

fn put(out: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value.into());
    }
}

/// Appends the unknown keys; a key that the target version defines is not overwritten.
fn with_extra(mut out: Map<String, Value>, extra: &Map<String, Value>) -> Value {
    for (key, value) in extra {
        out.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    Value::Object(out)
}

/// `None` if there are no items.
fn list(items: impl Iterator<Item = Value>) -> Option<Value> {
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then_some(Value::Array(items))
}
