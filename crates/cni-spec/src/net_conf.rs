//! The network configuration that a plugin receives on stdin.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

use crate::json::{self, Object};
use crate::result::dns;
use crate::{Attachment, CniError, CniResult, Dns, NetworkName, SpecVersion};

/// The maximum size of a configuration in bytes: 8 MiB.
///
/// Runtimes send a few kilobytes, or up to 1.5 MiB and the previous result if they pass a pod's
/// annotations (256 KiB, and Go may encode each byte as six). The limit is much higher, because a
/// rejected DEL leaks an address. It only prevents a faulty caller from exhausting the memory.
pub const STDIN_LIMIT: usize = 8 << 20;

/// A plugin's configuration, with the keys that the runtime adds for a call.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    /// `cniVersion`: the version of the call; empty and absent mean 0.1.0.
    pub cni_version: SpecVersion,
    /// `name`: the network's name.
    pub name: NetworkName,
    /// `type`: the plugin's file name. Runtimes always send it; this crate does not use it.
    pub plugin_type: Option<String>,
    /// `prevResult`, unchanged; see [`pass_through`](crate::pass_through).
    pub prev_result: Option<Value>,
    /// `runtimeConfig`: the runtime's values for the requested capabilities.
    pub runtime_config: Map<String, Value>,
    /// `args`: more arguments, which runtimes define.
    pub args: Map<String, Value>,
    /// `capabilities`: what the plugin requests from the runtime. Runtimes remove it from calls.
    pub capabilities: BTreeMap<String, bool>,
    /// `dns`.
    pub dns: Option<Dns>,
    /// `ipam`: the configuration of address management.
    pub ipam: Option<Map<String, Value>>,
    /// `cni.dev/valid-attachments`, or `cni.dev/attachments` from older libraries: the attachments
    /// that a GC must keep. `None` means unknown, not that no attachment is valid.
    pub valid_attachments: Option<Vec<Attachment>>,
    /// The whole object as received, with unknown keys.
    pub raw: Map<String, Value>,
}

impl NetConf {
    /// Reads a configuration. Fails with:
    ///
    /// - code 6 if the input is not a JSON object;
    /// - code 7 if `name` is missing or invalid, or a field has the wrong type;
    /// - code 1 if `cniVersion` is not a released version.
    pub fn parse(input: &[u8]) -> Result<Self, CniError> {
        let (conf, errors) = Self::parse_tolerant(input)?;
        errors.into_iter().next().map_or(Ok(conf), Err)
    }

    /// As [`NetConf::parse`], but leaves optional fields of the wrong type empty and returns one
    /// error for each of them.
    ///
    /// DEL is called with such a configuration: an invalid field that it does not need must not
    /// prevent the cleanup.
    pub fn parse_tolerant(input: &[u8]) -> Result<(Self, Vec<CniError>), CniError> {
        Self::parse_for(SpecVersion::ALL, read_json(input)?)
    }

    /// As [`NetConf::parse_tolerant`], for a plugin that supports these versions.
    pub(crate) fn parse_for(
        supported: &[SpecVersion],
        value: Value,
    ) -> Result<(Self, Vec<CniError>), CniError> {
        let Value::Object(raw) = value else {
            return Err(CniError::decoding(format!(
                "network configuration is `{}`, expected a JSON object",
                json::excerpt(&value)
            )));
        };
        let mut fields = Object::of_fields("", raw.clone());
        let name = fields.name("name")?;
        let cni_version = cni_version(&mut fields, supported)?;
        let mut errors = Vec::new();
        let all = &mut errors;
        let conf = Self {
            cni_version,
            name,
            plugin_type: or_push(fields.text("type"), all),
            prev_result: or_push(prev_result(&mut fields), all),
            runtime_config: or_push(fields.map("runtimeConfig"), all).unwrap_or_default(),
            args: or_push(fields.map("args"), all).unwrap_or_default(),
            capabilities: or_push(capabilities(&mut fields), all).unwrap_or_default(),
            dns: or_push(fields.object("dns", dns), all),
            ipam: or_push(fields.map("ipam"), all),
            valid_attachments: or_push(valid_attachments(&mut fields), all),
            raw,
        };
        Ok((conf, errors))
    }

    /// Decodes the plugin's own fields. The type must ignore unknown keys.
    ///
    /// Fails with code 7 and names the invalid field and its value. Types with `#[serde(flatten)]`
    /// or untagged enums do not support numbers, because of `serde_json`'s `arbitrary_precision`.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, CniError> {
        let current = Cell::new(None);
        let fields = self.raw.iter().inspect(|field| current.set(Some(*field)));
        let end = std::iter::from_fn(|| {
            current.set(None);
            None
        });
        let fields = fields.chain(end).map(|(key, value)| (key.as_str(), value));
        T::deserialize(MapDeserializer::new(fields)).map_err(|error: serde_json::Error| {
            CniError::config(match current.get() {
                Some((key, value)) => {
                    format!("field `{key}` is `{}`: {error}", json::excerpt(value))
                }
                None => format!("invalid network configuration: {error}"),
            })
        })
    }

    /// The previous result; fails with code 7 if there is none.
    pub fn required_prev_result(&self) -> Result<&Value, CniError> {
        self.prev_result.as_ref().ok_or_else(|| {
            CniError::config("field `prevResult` is missing: this plugin must be chained")
                .with_details(
                    "add the plugin to `plugins` of a network configuration list, after the plugin \
                     that creates the interface",
                )
        })
    }

    /// The addresses in the previous result, in order; empty if there is no previous result.
    ///
    /// Fails with code 7 if an address is invalid. Nothing else of the result is validated, since
    /// another plugin is responsible for it.
    pub fn prev_addresses(&self) -> Result<Vec<IpAddr>, CniError> {
        let Some(prev) = &self.prev_result else {
            return Ok(Vec::new());
        };
        let ips = prev.get("ips").and_then(Value::as_array);
        let by_family = ["ip4", "ip6"].map(|family| {
            let ip = prev.get(family).and_then(|config| config.get("ip"));
            (format!("prevResult.{family}.ip"), ip)
        });
        ips.into_iter()
            .flatten()
            .enumerate()
            .map(|(index, ip)| {
                (
                    format!("prevResult.ips[{index}].address"),
                    ip.get("address"),
                )
            })
            .chain(by_family)
            .filter_map(|(field, value)| Some(prev_address(&field, value?)))
            .collect()
    }

    /// The previous result in the newest shape; `None` if there is none.
    pub fn decoded_prev_result(&self) -> Result<Option<CniResult>, CniError> {
        self.prev_result
            .as_ref()
            .map(|prev| CniResult::from_prev(prev, self.cni_version))
            .transpose()
    }
}

fn prev_address(field: &str, value: &Value) -> Result<IpAddr, CniError> {
    let network = value.as_str().and_then(json::network).ok_or_else(|| {
        json::invalid(field, value, json::NETWORK)
            .with_details("an earlier plugin of the list wrote this address")
    })?;
    Ok(network.ip())
}

/// The field, or `None` after its error is added to `errors`.
fn or_push<T>(field: Result<Option<T>, CniError>, errors: &mut Vec<CniError>) -> Option<T> {
    field.unwrap_or_else(|error| {
        errors.push(error);
        None
    })
}

pub(crate) fn read_json(input: &[u8]) -> Result<Value, CniError> {
    serde_json::from_slice(input)
        .map_err(|error| CniError::decoding(format!("network configuration is not JSON: {error}")))
}

fn cni_version(fields: &mut Object, supported: &[SpecVersion]) -> Result<SpecVersion, CniError> {
    let text = fields.text("cniVersion")?.unwrap_or_default();
    SpecVersion::of_config(&text)
        .ok()
        .filter(|version| supported.contains(version))
        .ok_or_else(|| CniError::incompatible("cniVersion", &text, supported))
}

fn prev_result(fields: &mut Object) -> Result<Option<Value>, CniError> {
    match fields.take("prevResult") {
        None => Ok(None),
        Some(result) if result.is_object() => Ok(Some(result)),
        Some(other) => Err(json::invalid("prevResult", &other, "an object")),
    }
}

fn capabilities(fields: &mut Object) -> Result<Option<BTreeMap<String, bool>>, CniError> {
    fields.convert("capabilities", "an object of booleans", |value| {
        value
            .as_object()?
            .iter()
            .map(|(name, flag)| Some((name.clone(), flag.as_bool()?)))
            .collect()
    })
}

fn valid_attachments(fields: &mut Object) -> Result<Option<Vec<Attachment>>, CniError> {
    ["cni.dev/valid-attachments", "cni.dev/attachments"]
        .into_iter()
        .find(|key| fields.has(key))
        .map(|key| fields.objects(key, Attachment::from_object))
        .transpose()
}
