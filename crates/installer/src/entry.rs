//! The plugin's own configuration, checked before it is put into anyone's list.

use std::path::PathBuf;

use mesh_cni_plan::{ConfError, MeshConf, PLUGIN_TYPE, PodSourceName};
use serde_json::{Map, Value};

/// The plugin's entry of a network configuration list: `type`, and the fields that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    fields: Map<String, Value>,
    conf: MeshConf,
    unknown: Vec<String>,
}

/// Why an entry would not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The plugin itself would refuse it.
    #[error("the plugin would refuse this entry")]
    Refused(#[from] ConfError),
    /// Pod source `file` needs a directory, or no pod could start.
    #[error("field `pod_dir` is missing, which pod source `file` needs")]
    NoDirectory,
    /// The runtime's working directory is nobody's business.
    #[error("field `pod_dir` is `{}`, but must be an absolute path", .0.display())]
    RelativeDirectory(PathBuf),
    /// It is an entry of another plugin.
    #[error("field `type` of the entry is `{0}`, but must be `mesh-cni` or left out")]
    Type(Value),
}

impl Entry {
    /// Checks the fields as the plugin does. `type` may be left out.
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
        has_its_directory(&decoded.conf)?;
        if decoded.conf.pod_source == PodSourceName::Runtime {
            ask_for_annotations(&mut fields);
        }
        Ok(Self {
            fields,
            conf: decoded.conf,
            unknown: decoded.unknown,
        })
    }

    /// The configuration that the plugin will read from it.
    pub fn conf(&self) -> &MeshConf {
        &self.conf
    }

    /// The fields that the plugin does not know and will pass over.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The same with these fields where it has none of the name. What the plugin would refuse is
    /// left out.
    pub(crate) fn with_defaults(&self, defaults: Map<String, Value>) -> Self {
        let mut fields = self.fields.clone();
        for (name, value) in defaults {
            let single = Map::from_iter([(name.clone(), value.clone())]);
            if !fields.contains_key(&name) && MeshConf::decode(&single).is_ok() {
                fields.insert(name, value);
            }
        }
        let decoded = MeshConf::decode(&fields);
        Self {
            fields,
            conf: decoded.map_or_else(|_| self.conf.clone(), |decoded| decoded.conf),
            unknown: self.unknown.clone(),
        }
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

/// What the plugin would find out at the first pod, and refuse that pod for.
fn has_its_directory(conf: &MeshConf) -> Result<(), EntryError> {
    match (conf.pod_source, &conf.pod_dir) {
        (PodSourceName::File, None) => Err(EntryError::NoDirectory),
        (PodSourceName::File, Some(path)) if path.is_relative() => {
            Err(EntryError::RelativeDirectory(path.clone()))
        }
        _ => Ok(()),
    }
}

/// Pod source `runtime` lives on a capability that the entry must name; what the operator says of it
/// stays.
fn ask_for_annotations(fields: &mut Map<String, Value>) {
    let capabilities = fields.entry("capabilities");
    let capabilities = capabilities.or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(capabilities) = capabilities {
        let annotations = capabilities.entry("io.kubernetes.cri.pod-annotations");
        annotations.or_insert(Value::Bool(true));
    }
}

impl Default for Entry {
    /// `{"type": "mesh-cni"}`, which is a whole entry.
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
        Entry::new(fields).expect("the plugin takes it").chained()
    }

    #[test]
    fn pod_source_runtime_asks_for_annotations() {
        let wanted = json!({"io.kubernetes.cri.pod-annotations": true});
        let asked = entry(&json!({"pod_source": "runtime"}));
        assert_eq!(asked["capabilities"], wanted);
        let own = json!({"portMappings": true, "io.kubernetes.cri.pod-annotations": false});
        let kept = entry(&json!({"pod_source": "runtime", "capabilities": own}));
        assert_eq!(kept["capabilities"], own);
        let other = entry(&json!({"pod_source": "agent"}));
        assert!(other.get("capabilities").is_none());
    }

    #[test]
    fn pod_source_file_needs_an_absolute_directory() {
        let told = |fields: Value| {
            let fields = fields.as_object().expect("it is an object").clone();
            Entry::new(fields).err().map(|error| error.to_string())
        };
        let missing = "field `pod_dir` is missing, which pod source `file` needs";
        assert_eq!(
            told(json!({"pod_source": "file"})).as_deref(),
            Some(missing)
        );
        let relative = "field `pod_dir` is `pods`, but must be an absolute path";
        let fields = json!({"pod_source": "file", "pod_dir": "pods"});
        assert_eq!(told(fields).as_deref(), Some(relative));
        assert_eq!(
            told(json!({"pod_source": "file", "pod_dir": "/pods"})),
            None
        );
    }
}
