//! The plugin's configuration of a cluster: the entry that the chart keeps in a `ConfigMap`.

use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::object::Object;
use mesh_cni_plan::MeshConf;
use serde_json::{Map, Value};

use super::Cluster;

/// The chart's `ConfigMap`.
pub(crate) const CONFIG_MAP: &str = "mesh-cni";

/// `entry.json` of a `ConfigMap`.
struct EntryText(Option<String>);

impl Object for EntryText {
    const KEEP: &'static Keep = &Keep::Fields(&[
        (
            "metadata",
            &Keep::Fields(&[("name", &Keep::All), ("resourceVersion", &Keep::All)]),
        ),
        ("data", &Keep::Fields(&[("entry.json", &Keep::All)])),
    ]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let entry = object["data"]["entry.json"].as_str();
        Ok(Self(entry.map(str::to_owned)))
    }
}

impl Cluster {
    /// The plugin's entry in the chart's `ConfigMap`, or why it cannot be read.
    pub(crate) async fn entry(&self, namespace: &str) -> Result<Map<String, Value>, String> {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let found = self.get::<EntryText>(&path, CONFIG_MAP).await;
        let found = found.map_err(|error| error_reporter::Report::new(error).to_string())?;
        let EntryText(entry) = found.ok_or("it does not exist")?;
        let entry = entry.ok_or("it has no `entry.json`")?;
        serde_json::from_str(&entry).map_err(|error| format!("`entry.json`: {error}"))
    }

    /// The plugin's configuration in the chart's `ConfigMap`, or why it cannot be read.
    pub(crate) async fn conf(&self, namespace: &str) -> Result<MeshConf, String> {
        let entry = self.entry(namespace).await?;
        let decoded = MeshConf::decode(&entry);
        decoded
            .map(|decoded| decoded.conf)
            .map_err(|error| error_reporter::Report::new(error).to_string())
    }
}
