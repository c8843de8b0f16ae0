//! The network configuration that a call brings on stdin.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

use crate::json::{self, Object};
use crate::{Attachment, CniError, CniResult, Dns, NetworkName, SpecVersion};

/// The longest configuration that is read, in bytes: 8 MiB.
///
/// Runtimes send a few kilobytes, or with a pod's annotations (256 KiB, each byte of which Go may
/// write as six) up to 1.5 MiB and the previous result. The limit is far beyond, since a DEL that is
/// refused leaks an address, and keeps a caller gone wrong from filling the memory.
pub const STDIN_LIMIT: usize = 8 << 20;

/// A plugin's configuration, with the keys that the runtime adds for a call.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    /// `cniVersion`: the version to speak; empty and absent mean 0.1.0.
    pub cni_version: SpecVersion,
    /// `name`: the network's name.
    pub name: NetworkName,
    /// `type`: the plugin's own file name. Runtimes always send it, nothing here needs it.
    pub plugin_type: Option<String>,
    /// `prevResult`, untouched; see [`pass_through`](crate::pass_through).
    pub prev_result: Option<Value>,
    /// `runtimeConfig`: what the runtime gives for the capabilities asked for.
    pub runtime_config: Map<String, Value>,
    /// `args`: further arguments, by the conventions of runtimes.
    pub args: Map<String, Value>,
    /// `capabilities`: what the plugin asks the runtime for. Runtimes strip it from calls.
    pub capabilities: BTreeMap<String, bool>,
    /// `dns`.
    pub dns: Option<Dns>,
    /// `ipam`: the configuration of address management.
    pub ipam: Option<Map<String, Value>>,
    /// `cni.dev/valid-attachments`, or `cni.dev/attachments` as older libraries write it: the
    /// attachments that a GC must keep. `None` is no information, not "none is valid".
    pub valid_attachments: Option<Vec<Attachment>>,
    /// The whole object as it came in, unknown keys included.
    pub raw: Map<String, Value>,
}

impl NetConf {
    /// Reads a configuration.
    ///
    /// - code 6: no JSON (with line and column), or no object;
    /// - code 7: `name` missing or not allowed, a field of the wrong type, `cniVersion` included;
    /// - code 1: a version that is none of the released ones.
    pub fn parse(input: &[u8]) -> Result<Self, CniError> {
        let (conf, complaints) = Self::parse_tolerant(input)?;
        complaints.into_iter().next().map_or(Ok(conf), Err)
    }

    /// As [`NetConf::parse`], but optional fields of the wrong type are left empty and reported
    /// beside the configuration, one complaint a field.
    ///
    /// This is what DEL gets: a field it does not need must not keep an attachment alive.
    pub fn parse_tolerant(input: &[u8]) -> Result<(Self, Vec<CniError>), CniError> {
        Self::parse_for(SpecVersion::ALL, input)
    }

    /// As [`NetConf::parse_tolerant`], for a plugin that speaks these versions.
    pub(crate) fn parse_for(
        supported: &[SpecVersion],
        input: &[u8],
    ) -> Result<(Self, Vec<CniError>), CniError> {
        let value = read_json(input)?;
        let Value::Object(raw) = &value else {
            return Err(CniError::decoding(format!(
                "network configuration is `{}`, but must be a JSON object",
                json::excerpt(&value)
            )));
        };
        let mut fields = Object::new("", &value)?;
        let name = network_name(&mut fields)?;
        let cni_version = cni_version(&mut fields, supported)?;
        let mut complaints = Vec::new();
        let all = &mut complaints;
        let conf = Self {
            cni_version,
            name,
            plugin_type: or_complain(fields.text("type"), all),
            prev_result: or_complain(prev_result(&mut fields), all),
            runtime_config: or_complain(fields.map("runtimeConfig"), all).unwrap_or_default(),
            args: or_complain(fields.map("args"), all).unwrap_or_default(),
            capabilities: or_complain(capabilities(&mut fields), all).unwrap_or_default(),
            dns: or_complain(dns(&mut fields), all),
            ipam: or_complain(fields.map("ipam"), all),
            valid_attachments: or_complain(valid_attachments(&mut fields), all),
            raw: raw.clone(),
        };
        Ok((conf, complaints))
    }

    /// The plugin's own fields, as a type that ignores the keys it does not know.
    ///
    /// An error has code 7 and names the field of the configuration and its value. Types that
    /// use `#[serde(flatten)]` or untagged enums cannot hold numbers here, which keep their
    /// spelling.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, CniError> {
        let current = Cell::new(None);
        let fields = self.raw.iter().inspect(|field| current.set(Some(*field)));
        let end = std::iter::from_fn(|| {
            current.set(None);
            None
        });
        let fields = fields.chain(end).map(|(key, value)| (key.as_str(), value));
        let decoded = T::deserialize(MapDeserializer::new(fields));
        decoded.map_err(|error: serde_json::Error| match current.get() {
            Some((key, value)) => CniError::config(format!(
                "field `{key}` is `{}`, but that cannot be used: {error}",
                json::excerpt(value)
            )),
            None => CniError::config(format!("network configuration cannot be used: {error}")),
        })
    }

    /// The previous result, for plugins that cannot do without: code 7 when there is none.
    pub fn required_prev_result(&self) -> Result<&Value, CniError> {
        self.prev_result.as_ref().ok_or_else(|| {
            CniError::config("field `prevResult` is missing: this plugin must be chained")
                .with_details(
                    "put the plugin into the `plugins` of a network configuration list, after the \
                 plugin that makes the interface",
                )
        })
    }

    /// The addresses in the previous result, in its order; empty when there is none.
    ///
    /// Nothing else of it is judged, not even what the version does not allow: it is another
    /// plugin's. An address that is none is code 7.
    pub fn prev_addresses(&self) -> Result<Vec<IpAddr>, CniError> {
        let Some(prev) = &self.prev_result else {
            return Ok(Vec::new());
        };
        let ips = prev.get("ips").and_then(Value::as_array);
        let ips = ips.into_iter().flatten();
        let listed = ips.enumerate().map(|(place, ip)| {
            let field = format!("prevResult.ips[{place}].address");
            (field, ip.get("address"))
        });
        let by_family = ["ip4", "ip6"].map(|family| {
            let ip = prev.get(family).and_then(|config| config.get("ip"));
            (format!("prevResult.{family}.ip"), ip)
        });
        let fields = listed.chain(by_family);
        let present = fields.filter_map(|(field, value)| Some((field, value?)));
        present
            .map(|(field, value)| prev_address(&field, value))
            .collect()
    }

    /// The previous result in the newest shape, to look into; `None` when there is none.
    pub fn decoded_prev_result(&self) -> Result<Option<CniResult>, CniError> {
        let prev = self.prev_result.as_ref();
        prev.map(|prev| CniResult::from_prev(prev, self.cni_version))
            .transpose()
    }
}

fn prev_address(field: &str, value: &Value) -> Result<IpAddr, CniError> {
    let network = value.as_str().and_then(json::network);
    network.map(|network| network.ip()).ok_or_else(|| {
        json::wrong(field, value, json::NETWORK)
            .with_details("the plugin before this one in the list has written it")
    })
}

/// An optional field; what is wrong with it becomes a complaint.
fn or_complain<T>(field: Result<Option<T>, CniError>, complaints: &mut Vec<CniError>) -> Option<T> {
    field.unwrap_or_else(|complaint| {
        complaints.push(complaint);
        None
    })
}

pub(crate) fn read_json(input: &[u8]) -> Result<Value, CniError> {
    serde_json::from_slice(input).map_err(|error| {
        // The JSON library ends its sentence with line and column.
        CniError::decoding(format!("network configuration is not JSON: {error}"))
    })
}

fn cni_version(fields: &mut Object, supported: &[SpecVersion]) -> Result<SpecVersion, CniError> {
    let text = fields.text("cniVersion")?.unwrap_or_default();
    let version = SpecVersion::of_config(&text).ok();
    let version = version.filter(|version| supported.contains(version));
    version.ok_or_else(|| CniError::incompatible("cniVersion", &text, supported))
}

fn network_name(fields: &mut Object) -> Result<NetworkName, CniError> {
    let name = fields.text("name")?;
    let name = fields.required("name", "the network's name", name)?;
    name.parse()
        .map_err(|error| CniError::config(format!("field `name` {error}")))
}

fn prev_result(fields: &mut Object) -> Result<Option<Value>, CniError> {
    fields.convert("prevResult", "an object", |value| {
        value.is_object().then(|| value.clone())
    })
}

fn capabilities(fields: &mut Object) -> Result<Option<BTreeMap<String, bool>>, CniError> {
    let flags = |value: &Value| {
        let entries = value.as_object()?.iter();
        entries
            .map(|(name, flag)| Some((name.clone(), flag.as_bool()?)))
            .collect()
    };
    fields.convert("capabilities", "an object of booleans", flags)
}

fn dns(fields: &mut Object) -> Result<Option<Dns>, CniError> {
    fields.object("dns")?.map(Dns::from_object).transpose()
}

fn valid_attachments(fields: &mut Object) -> Result<Option<Vec<Attachment>>, CniError> {
    let key = ["cni.dev/valid-attachments", "cni.dev/attachments"];
    let Some(key) = key.into_iter().find(|key| fields.has(key)) else {
        return Ok(None);
    };
    let entries = fields.objects(key)?.into_iter();
    entries
        .map(Attachment::from_object)
        .collect::<Result<_, _>>()
        .map(Some)
}
