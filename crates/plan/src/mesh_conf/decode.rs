//! Decoding the configuration: every error names its field, every field nobody knows is told.

use std::collections::BTreeMap;

use mesh_cni_rules::PodSettings;
use mesh_cni_rules::settings::{Annotation, InvalidSetting};
use serde_json::{Map, Value};
use thiserror::Error;

use super::MeshConf;

/// A configuration together with the fields that nobody knows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The configuration.
    pub conf: MeshConf,
    /// Fields that were passed over, in their order.
    pub unknown: Vec<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfError {
    /// A field has a value that it cannot have.
    #[error("field `{field}` of the network configuration, found `{value}`")]
    Field {
        /// The field, with the path inside it.
        field: String,
        /// Its value as JSON.
        value: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// `defaults` has an entry that is no interception setting.
    #[error(
        "field `defaults` of the network configuration has the entry `{entry}`, which is no \
         interception setting: allowed are {allowed}"
    )]
    UnknownDefault {
        /// The entry's key.
        entry: String,
        /// Every setting there is.
        allowed: String,
    },
    /// `defaults` names one setting twice, in its short and its long form.
    #[error("field `defaults` of the network configuration names {key} twice: keep one of both")]
    TwiceDefault {
        /// The annotation's key.
        key: &'static str,
    },
    /// An entry of `defaults` has a value that it cannot have.
    #[error("field `defaults` of the network configuration")]
    InvalidDefault(#[source] InvalidSetting),
}

/// Keys of the CNI specification, of runtimes and of other plugins' conventions.
const OF_OTHERS: [&str; 12] = [
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

/// Our own fields, in the order of the documentation.
const OURS: [&str; 16] = [
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
    "backend",
    "pod_source",
    "pod_dir",
    "kubeconfig",
    "defaults",
    "standalone",
];

impl MeshConf {
    /// Reads our fields from the plugin's entry of a network configuration.
    ///
    /// Unknown fields are passed over, since runtimes add their own; they are told, for a warning.
    pub fn decode(entry: &Map<String, Value>) -> Result<Decoded, ConfError> {
        let ours = entry.iter().filter(|(key, _)| OURS.contains(&key.as_str()));
        let ours: Map<_, _> = ours
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut conf: Self = serde_path_to_error::deserialize(Value::Object(ours))
            .map_err(|error| refuse(error, entry))?;
        conf.defaults = by_annotation(conf.defaults)?;
        let settings = PodSettings {
            defaults: Some(&conf.defaults),
            ..PodSettings::default()
        };
        settings.resolve().map_err(ConfError::InvalidDefault)?;
        Ok(Decoded {
            unknown: unknown(entry),
            conf,
        })
    }
}

fn refuse(
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
    let fields = entry.keys().filter(|key| {
        let key = key.as_str();
        !OURS.contains(&key) && !OF_OTHERS.contains(&key) && !key.starts_with("cni.dev/")
    });
    fields.cloned().collect()
}

/// Every default under its annotation's whole key.
fn by_annotation(
    defaults: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ConfError> {
    let mut whole = BTreeMap::new();
    for (entry, value) in defaults {
        let Some(annotation) = annotation(&entry) else {
            let allowed = Annotation::ALL.map(|annotation| short(annotation.key()));
            let allowed = allowed.join(", ");
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
    let mut annotations = Annotation::ALL.into_iter();
    annotations.find(|annotation| entry == annotation.key() || entry == short(annotation.key()))
}

fn short(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
