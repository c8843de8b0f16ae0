//! The plugin's entry in a network configuration list, checked before it is written.

use std::path::PathBuf;

use mesh_cni_plan::{ConfError, MeshConf, PLUGIN_TYPE, PodSourceName};
use mesh_cni_spec::{ConfListError, check_entry};
use serde_json::{Map, Value};

/// The plugin's entry in a network configuration list: `type` and the given fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    fields: Map<String, Value>,
    conf: MeshConf,
    unknown: Vec<String>,
}

/// Why an entry is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The plugin would reject it.
    #[error("the plugin would reject this entry")]
    Refused(#[from] ConfError),
    /// A runtime would not load a list with it.
    #[error("a runtime would not load this entry")]
    Unloadable(#[from] ConfListError),
    /// Pod source `file` has no directory, so no pod could start.
    #[error("field `pod_dir` is missing; pod source `file` requires it")]
    NoDirectory,
    /// The path would depend on the runtime's working directory.
    #[error("field `pod_dir` is `{}`, but must be an absolute path", .0.display())]
    RelativeDirectory(PathBuf),
    /// It is another plugin's entry.
    #[error("field `type` of the entry is `{0}`, but must be `mesh-cni` or absent")]
    Type(Value),
}

impl Entry {
    /// Checks the fields as the plugin does. `type` is optional.
    pub fn new(mut given: Map<String, Value>) -> Result<Self, EntryError> {
        let own_type = Value::from(PLUGIN_TYPE);
        if let Some(other) = given
            .shift_remove("type")
            .filter(|found| *found != own_type)
        {
            return Err(EntryError::Type(other));
        }
        let mut fields = Map::from_iter([("type".to_owned(), own_type)]);
        fields.append(&mut given);
        let decoded = MeshConf::decode(&fields)?;
        check_pod_dir(&decoded.conf)?;
        if decoded.conf.pod_source == PodSourceName::Runtime {
            request_annotations(&mut fields);
        }
        check_entry(&Value::Object(fields.clone()))?;
        Ok(Self {
            fields,
            conf: decoded.conf,
            unknown: decoded.unknown,
        })
    }

    /// The configuration that the plugin reads from it.
    pub fn conf(&self) -> &MeshConf {
        &self.conf
    }

    /// Fields that the plugin does not know and ignores.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether it sets the field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// A copy with the given fields added, except those that exist already. Fails if the plugin would
    /// reject it.
    pub(crate) fn with_defaults(&self, defaults: &Map<String, Value>) -> Result<Self, ConfError> {
        let mut fields = self.fields.clone();
        for (name, value) in defaults {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(Self {
            conf: MeshConf::decode(&fields)?.conf,
            fields,
            unknown: self.unknown.clone(),
        })
    }

    pub(crate) fn chained(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    pub(crate) fn stand_alone(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("standalone".to_owned(), Value::Bool(true));
        Value::Object(fields)
    }
}

/// Checks what the plugin would reject only when the first pod starts.
fn check_pod_dir(conf: &MeshConf) -> Result<(), EntryError> {
    match (conf.pod_source, &conf.pod_dir) {
        (PodSourceName::File, None) => Err(EntryError::NoDirectory),
        (PodSourceName::File, Some(path)) if path.is_relative() => {
            Err(EntryError::RelativeDirectory(path.clone()))
        }
        _ => Ok(()),
    }
}

/// Adds the capability that pod source `runtime` needs, unless the operator has set it.
fn request_annotations(fields: &mut Map<String, Value>) {
    let capabilities = fields
        .entry("capabilities")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(capabilities) = capabilities {
        capabilities
            .entry("io.kubernetes.cri.pod-annotations")
            .or_insert(Value::Bool(true));
    }
}

impl Default for Entry {
    /// `{"type": "mesh-cni"}`.
    fn default() -> Self {
        Self::new(Map::new()).expect("every field has a default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(fields: &Value) -> Value {
        let fields = fields.as_object().expect("it is an object").clone();
        Entry::new(fields).expect("the entry is valid").chained()
    }

    #[test]
    fn pod_source_runtime_requests_annotations() {
        let wanted = json!({"io.kubernetes.cri.pod-annotations": true});
        let added = entry(&json!({"pod_source": "runtime"}));
        assert_eq!(added["capabilities"], wanted);
        let own = json!({"portMappings": true, "io.kubernetes.cri.pod-annotations": false});
        let kept = entry(&json!({"pod_source": "runtime", "capabilities": own}));
        assert_eq!(kept["capabilities"], own);
        let other = entry(&json!({"pod_source": "agent"}));
        assert!(other.get("capabilities").is_none());
    }

    #[test]
    fn pod_source_file_requires_an_absolute_directory() {
        let message = |fields: Value| {
            let fields = fields.as_object().expect("it is an object").clone();
            Entry::new(fields).err().map(|error| error.to_string())
        };
        let missing = "field `pod_dir` is missing; pod source `file` requires it";
        assert_eq!(
            message(json!({"pod_source": "file"})).as_deref(),
            Some(missing)
        );
        let relative = "field `pod_dir` is `pods`, but must be an absolute path";
        let fields = json!({"pod_source": "file", "pod_dir": "pods"});
        assert_eq!(message(fields).as_deref(), Some(relative));
        assert_eq!(
            message(json!({"pod_source": "file", "pod_dir": "/pods"})),
            None
        );
    }
}
