//! Decodes the configuration. Every error names its field, and unknown fields are returned.

use std::collections::BTreeMap;

use mesh_cni_rules::InvalidSetting;
use mesh_cni_rules::istio::PodSettings;
use mesh_cni_rules::istio::settings::Annotation;
use serde::Deserialize;
use serde::de::{self, Unexpected};
use serde_json::{Map, Value};
use thiserror::Error;

use super::ambient::AmbientConf;
use super::linkerd::LinkerdConf;
use super::{MeshConf, PLUGIN_TYPE};

/// A configuration, and the fields of the entry that are unknown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The configuration.
    pub conf: MeshConf,
    /// The ignored fields, in their order.
    pub unknown: Vec<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfError {
    /// It is not JSON, or not a JSON object.
    #[error("cannot parse the network configuration")]
    Json(#[from] serde_json::Error),
    /// The list has no entry of this plugin.
    #[error("the network configuration list has no plugin of type `{PLUGIN_TYPE}`")]
    NoEntry,
    /// A field has an invalid value.
    #[error("invalid field `{field}` of the network configuration, found `{value}`")]
    Field {
        /// The path of the field.
        field: String,
        /// The value of the top-level field, as JSON.
        value: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// `defaults` has an unknown key.
    #[error(
        "field `defaults` of the network configuration has unknown key `{entry}`, expected one of \
         {allowed}"
    )]
    UnknownDefault {
        /// The key.
        entry: String,
        /// Every valid key.
        allowed: String,
    },
    /// `defaults` has one setting twice, by its short and its long key.
    #[error("field `defaults` of the network configuration sets {key} twice: keep one of them")]
    TwiceDefault {
        /// The annotation's key.
        key: &'static str,
    },
    /// A setting in `linkerd` has an invalid value.
    #[error("invalid field `linkerd` of the network configuration")]
    InvalidLinkerd(#[source] Box<InvalidSetting>),
    /// A setting in `defaults` has an invalid value.
    #[error("invalid field `defaults` of the network configuration")]
    InvalidDefault(#[source] Box<InvalidSetting>),
}

#[derive(Deserialize)]
struct ConfList {
    plugins: Vec<Value>,
}

/// Fields of the CNI specification, of runtimes and of other plugins.
const OTHER_FIELDS: [&str; 12] = [
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "args",
    "capabilities",
    "dns",
    "ipam",
    "prevResult",
    "runtimeConfig",
    "ipMasq",
    "disableCheck",
];

/// The fields of [`MeshConf`], in the order of the documentation.
const FIELDS: [&str; 21] = [
    "plugin_log_level",
    "exclude_namespaces",
    "include_namespaces",
    "exclude_namespace_selector",
    "cni_agent_run_dir",
    "pod_namespace",
    "agent_daemonset",
    "profile",
    "selection",
    "ruleset",
    "ipv6",
    "backend",
    "pod_source",
    "pod_dir",
    "kubeconfig",
    "defaults",
    "linkerd",
    "ambient",
    "kube_api_ports",
    "cluster_dns",
    "standalone",
];

/// The fields that are objects: what each must be, and its fields.
const OBJECTS: [(&str, &str, &[&str]); 2] = [
    ("linkerd", LinkerdConf::EXPECTED, &LinkerdConf::FIELDS),
    ("ambient", AmbientConf::EXPECTED, &AmbientConf::FIELDS),
];

impl MeshConf {
    /// Whether the plugin's entry has a field of that name, beside those of every network configuration.
    pub fn is_field(name: &str) -> bool {
        FIELDS.contains(&name)
    }

    /// Reads the plugin's entry from JSON text.
    pub fn from_json(json: &str) -> Result<Decoded, ConfError> {
        Self::decode(&serde_json::from_str(json)?)
    }

    /// Reads the plugin's entry in a network configuration list: the first with type
    /// [`PLUGIN_TYPE`].
    pub fn from_list(json: &str) -> Result<Decoded, ConfError> {
        let list: ConfList = serde_json::from_str(json)?;
        let entry = list
            .plugins
            .iter()
            .find(|entry| entry["type"] == PLUGIN_TYPE);
        Self::decode(entry.and_then(Value::as_object).ok_or(ConfError::NoEntry)?)
    }

    /// Reads the plugin's entry.
    ///
    /// Unknown fields are not an error, because runtimes add their own.
    pub fn decode(entry: &Map<String, Value>) -> Result<Decoded, ConfError> {
        let fields: Map<_, _> = entry
            .iter()
            .filter(|(key, _)| Self::is_field(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // serde reads a list as a struct, and an empty one as all of its defaults.
        for (field, expected, _) in OBJECTS {
            if let Some(list @ Value::Array(_)) = entry.get(field) {
                return Err(ConfError::Field {
                    field: field.to_owned(),
                    value: list.to_string(),
                    source: de::Error::invalid_type(Unexpected::Seq, &expected),
                });
            }
        }
        let mut conf: Self = serde_path_to_error::deserialize(Value::Object(fields))
            .map_err(|error| invalid_field(error, entry))?;
        conf.defaults = by_annotation(conf.defaults)?;
        let settings = PodSettings {
            defaults: Some(&conf.defaults),
            ..PodSettings::default()
        };
        settings
            .resolve()
            .map_err(|error| ConfError::InvalidDefault(error.into()))?;
        if let Some(linkerd) = &conf.linkerd {
            linkerd
                .interception()
                .map_err(|error| ConfError::InvalidLinkerd(error.into()))?;
        }
        Ok(Decoded {
            unknown: unknown(entry),
            conf,
        })
    }
}

fn invalid_field(
    error: serde_path_to_error::Error<serde_json::Error>,
    entry: &Map<String, Value>,
) -> ConfError {
    let field = error.path().to_string();
    let top = field.split(['.', '[']).next().unwrap_or_default();
    ConfError::Field {
        value: entry.get(top).map(Value::to_string).unwrap_or_default(),
        source: error.into_inner(),
        field,
    }
}

fn unknown(entry: &Map<String, Value>) -> Vec<String> {
    let is_known = |key: &str| {
        FIELDS.contains(&key) || OTHER_FIELDS.contains(&key) || key.starts_with("cni.dev/")
    };
    let mut unknown: Vec<_> = entry.keys().filter(|key| !is_known(key)).cloned().collect();
    for (field, _, fields) in OBJECTS {
        let object = entry.get(field).and_then(Value::as_object);
        let keys = object.into_iter().flat_map(Map::keys);
        let others = keys.filter(|key| !fields.contains(&key.as_str()));
        unknown.extend(others.map(|key| format!("{field}.{key}")));
    }
    unknown
}

/// The defaults by the full key of their annotation.
fn by_annotation(
    defaults: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ConfError> {
    let mut whole = BTreeMap::new();
    for (entry, value) in defaults {
        let Some(annotation) = annotation(&entry) else {
            let allowed = Annotation::ALL
                .map(|annotation| short(annotation.key()))
                .join(", ");
            return Err(ConfError::UnknownDefault { entry, allowed });
        };
        let key = annotation.key();
        if whole.insert(key.to_owned(), value).is_some() {
            return Err(ConfError::TwiceDefault { key });
        }
    }
    Ok(whole)
}

fn annotation(entry: &str) -> Option<Annotation> {
    Annotation::ALL
        .into_iter()
        .find(|annotation| entry == annotation.key() || entry == short(annotation.key()))
}

fn short(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
