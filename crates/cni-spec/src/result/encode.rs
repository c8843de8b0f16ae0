//! Writing a result in the shape of any version, and noting what that shape cannot say.

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use super::{CniResult, Dns, Interface, IpConfig, Route};
use crate::SpecVersion;
use crate::version::ResultShape;

/// The result in the version's shape, and the paths of what was left out.
pub(super) fn result(result: &CniResult, version: SpecVersion) -> (Value, Vec<String>) {
    let mut target = Target {
        version,
        losses: Vec::new(),
    };
    let mut out = Map::new();
    out.insert("cniVersion".to_owned(), version.as_str().into());
    match version.shape() {
        ResultShape::PerFamily => target.per_family(result, &mut out),
        ResultShape::VersionedIps | ResultShape::PlainIps => target.lists(result, &mut out),
    }
    put(&mut out, "dns", object(dns(&result.dns)));
    put_extra(&mut out, &result.extra);
    (Value::Object(out), target.losses)
}

/// The version to write for, and what it could not take.
struct Target {
    version: SpecVersion,
    losses: Vec<String>,
}

impl Target {
    fn lists(&mut self, result: &CniResult, out: &mut Map<String, Value>) {
        let interfaces = result.interfaces.iter().enumerate();
        let interfaces = interfaces
            .map(|(at, item)| self.interface(at, item))
            .collect();
        put(out, "interfaces", list(interfaces));
        let ips = result.ips.iter().map(|item| self.ip(item)).collect();
        put(out, "ips", list(ips));
        let routes = result.routes.iter().enumerate();
        let routes = routes.map(|(at, item)| self.route(at, item)).collect();
        put(out, "routes", list(routes));
    }

    fn per_family(&mut self, result: &CniResult, out: &mut Map<String, Value>) {
        for at in 0..result.interfaces.len() {
            self.losses.push(format!("interfaces[{at}]"));
        }
        for (at, ip) in result.ips.iter().enumerate() {
            let key = if ip.address.is_ipv4() { "ip4" } else { "ip6" };
            if out.contains_key(key) {
                self.losses.push(format!("ips[{at}]"));
                continue;
            }
            if ip.interface.is_some() {
                self.losses.push(format!("ips[{at}].interface"));
            }
            let family = self.family(ip, &result.routes);
            out.insert(key.to_owned(), family);
        }
        self.unhoused(result);
    }

    fn family(&mut self, ip: &IpConfig, routes: &[Route]) -> Value {
        let mut out = Map::new();
        out.insert("ip".to_owned(), ip.address.to_string().into());
        put(&mut out, "gateway", ip.gateway.as_ref().map(text));
        let same = |route: &Route| is_same_family(&route.dst, &ip.address);
        let routes = routes.iter().enumerate().filter(|(_, route)| same(route));
        put(
            &mut out,
            "routes",
            list(routes.map(|(at, route)| self.route(at, route)).collect()),
        );
        put_extra(&mut out, &ip.extra);
        Value::Object(out)
    }

    /// Routes of a family that has no address have no place in the oldest shape.
    fn unhoused(&mut self, result: &CniResult) {
        for (at, route) in result.routes.iter().enumerate() {
            if !result
                .ips
                .iter()
                .any(|ip| is_same_family(&route.dst, &ip.address))
            {
                self.losses.push(format!("routes[{at}]"));
            }
        }
    }

    fn interface(&mut self, at: usize, interface: &Interface) -> Value {
        let mut out = Map::new();
        out.insert("name".to_owned(), interface.name.as_str().into());
        put(&mut out, "mac", interface.mac.as_ref().map(text));
        let mtu = interface.mtu.map(Value::from);
        self.since_1_1(&mut out, "mtu", mtu, || format!("interfaces[{at}]"));
        put(&mut out, "sandbox", interface.sandbox.as_ref().map(text));
        for (key, value) in [
            ("socketPath", &interface.socket_path),
            ("pciID", &interface.pci_id),
        ] {
            let value = value.as_ref().map(text);
            self.since_1_1(&mut out, key, value, || format!("interfaces[{at}]"));
        }
        put_extra(&mut out, &interface.extra);
        Value::Object(out)
    }

    fn ip(&self, ip: &IpConfig) -> Value {
        let mut out = Map::new();
        if self.version.shape() == ResultShape::VersionedIps {
            let version = if ip.address.is_ipv4() { "4" } else { "6" };
            out.insert("version".to_owned(), version.into());
        }
        put(&mut out, "interface", ip.interface.map(Value::from));
        out.insert("address".to_owned(), ip.address.to_string().into());
        put(&mut out, "gateway", ip.gateway.as_ref().map(text));
        put_extra(&mut out, &ip.extra);
        Value::Object(out)
    }

    fn route(&mut self, at: usize, route: &Route) -> Value {
        let mut out = Map::new();
        out.insert("dst".to_owned(), route.dst.to_string().into());
        put(&mut out, "gw", route.gw.as_ref().map(text));
        let newer = [
            ("mtu", route.mtu),
            ("advmss", route.advmss),
            ("priority", route.priority),
            ("table", route.table),
            ("scope", route.scope),
        ];
        for (key, number) in newer {
            let number = number.map(Value::from);
            self.since_1_1(&mut out, key, number, || format!("routes[{at}]"));
        }
        put_extra(&mut out, &route.extra);
        Value::Object(out)
    }

    /// Writes a field of 1.1.0, or notes that the version cannot say it.
    fn since_1_1(
        &mut self,
        out: &mut Map<String, Value>,
        key: &str,
        value: Option<Value>,
        path: impl FnOnce() -> String,
    ) {
        if self.version >= SpecVersion::V1_1_0 {
            put(out, key, value);
        } else if value.is_some() {
            self.losses.push(format!("{}.{key}", path()));
        }
    }
}

fn dns(dns: &Dns) -> Map<String, Value> {
    let texts = |texts: &[String]| list(texts.iter().map(text).collect());
    let mut out = Map::new();
    put(&mut out, "nameservers", texts(&dns.nameservers));
    put(&mut out, "domain", dns.domain.as_ref().map(text));
    put(&mut out, "search", texts(&dns.search));
    put(&mut out, "options", texts(&dns.options));
    put_extra(&mut out, &dns.extra);
    out
}

fn is_same_family(one: &IpNetwork, other: &IpNetwork) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

fn put(out: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value);
    }
}

/// Unknown keys go last; a key that has become known since is not overwritten.
fn put_extra(out: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        out.entry(key.as_str()).or_insert_with(|| value.clone());
    }
}

fn list(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

fn object(fields: Map<String, Value>) -> Option<Value> {
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn text(value: &impl ToString) -> Value {
    Value::String(value.to_string())
}
