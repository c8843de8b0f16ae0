//! Writes results in the shape of every version, and lists what the version cannot represent.

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::SpecVersion;
use crate::json;
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
        let dns = encoder.dns(&result.dns);
        put(&mut out, "dns", Some(dns));
    }
    let defined = match version.shape() {
        ResultShape::PerFamily => ["cniVersion", "dns", "ip4", "ip6"].as_slice(),
        _ => &["cniVersion", "dns", "interfaces", "ips", "routes"],
    };
    let out = encoder.with_extra("", out, &result.extra, defined);
    (out, encoder.losses)
}

/// The keys of 1.1.0, which earlier versions do not define.
const INTERFACE_SINCE_1_1: [&str; 3] = ["mtu", "socketPath", "pciID"];
const ROUTE_SINCE_1_1: [&str; 5] = ["mtu", "advmss", "priority", "table", "scope"];

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
        let ips = result.ips.iter().enumerate();
        let ips = list(ips.map(|(index, item)| self.ip(index, item)));
        put(out, "ips", ips);
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
            let family = self.family(index, ip, &result.routes);
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

    fn family(&mut self, index: usize, ip: &IpConfig, routes: &[Route]) -> Value {
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
        let defined = &["ip", "gateway", "routes"];
        self.with_extra(&format!("ips[{index}]"), out, &ip.extra, defined)
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
        let mut defined = vec!["name", "mac", "sandbox"];
        defined.extend(self.defined_since_1_1(&INTERFACE_SINCE_1_1));
        self.with_extra(&path, out, &interface.extra, &defined)
    }

    fn ip(&mut self, index: usize, ip: &IpConfig) -> Value {
        let mut out = Map::new();
        let mut defined = vec!["interface", "address", "gateway"];
        if self.version.shape() == ResultShape::VersionedIps {
            defined.push("version");
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
        self.with_extra(&format!("ips[{index}]"), out, &ip.extra, &defined)
    }

    fn route(&mut self, index: usize, route: &Route) -> Value {
        let path = format!("routes[{index}]");
        let mut out = Map::new();
        put(&mut out, "dst", Some(route.dst.to_string()));
        put(&mut out, "gw", route.gw.map(|address| address.to_string()));
        let numbers = [
            route.mtu,
            route.advmss,
            route.priority,
            route.table,
            route.scope,
        ];
        for (key, number) in ROUTE_SINCE_1_1.into_iter().zip(numbers) {
            self.since_1_1(&mut out, &path, key, number);
        }
        let mut defined = vec!["dst", "gw"];
        defined.extend(self.defined_since_1_1(&ROUTE_SINCE_1_1));
        self.with_extra(&path, out, &route.extra, &defined)
    }

    fn dns(&mut self, dns: &Dns) -> Value {
        let texts = |texts: &[String]| list(texts.iter().map(|text| text.as_str().into()));
        let mut out = Map::new();
        put(&mut out, "nameservers", texts(&dns.nameservers));
        put(&mut out, "domain", dns.domain.as_deref());
        put(&mut out, "search", texts(&dns.search));
        put(&mut out, "options", texts(&dns.options));
        let defined = &["nameservers", "domain", "search", "options"];
        self.with_extra("dns", out, &dns.extra, defined)
    }

    /// Appends the unknown keys. A key that the target version defines would be read as its field there,
    /// so it is left out.
    fn with_extra(
        &mut self,
        path: &str,
        mut out: Map<String, Value>,
        extra: &Map<String, Value>,
        defined: &[&str],
    ) -> Value {
        for (key, value) in extra {
            if defined.contains(&key.as_str()) {
                self.losses.push(json::join(path, key));
            } else {
                out.insert(key.clone(), value.clone());
            }
        }
        Value::Object(out)
    }

    /// The keys, if the target version defines them.
    fn defined_since_1_1<'a>(&self, keys: &'a [&'static str]) -> &'a [&'static str] {
        if self.version >= SpecVersion::V1_1_0 {
            keys
        } else {
            &[]
        }
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

fn is_same_family(route: &Route, address: &IpNetwork) -> bool {
    route.dst.is_ipv4() == address.is_ipv4()
}

fn put(out: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value.into());
    }
}

/// `None` if there are no items.
fn list(items: impl Iterator<Item = Value>) -> Option<Value> {
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then_some(Value::Array(items))
}
