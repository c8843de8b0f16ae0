//! The plugin's configuration of a cluster: the entry that the chart keeps in a `ConfigMap`.

use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::object::Object;
use mesh_cni_plan::{ConfError, Decoded, MeshConf};
use serde_json::{Map, Value};
use thiserror::Error;

use super::Cluster;
use crate::console::Console;

/// The chart's `ConfigMap`.
pub(crate) const CONFIG_MAP: &str = "mesh-cni";

/// Why the installed configuration is not known.
#[derive(Debug, Error)]
pub(crate) enum EntryError {
    #[error(transparent)]
    Request(ApiError),
    #[error("it does not exist")]
    NoConfigMap,
    #[error("it has no `entry.json`")]
    NoEntry,
    #[error("`entry.json`")]
    NotJson(#[source] serde_json::Error),
    #[error("`entry.json`")]
    Entry(#[source] ConfError),
}

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
    /// The plugin's entry in the chart's `ConfigMap`.
    pub(crate) async fn entry(&self, namespace: &str) -> Result<Map<String, Value>, EntryError> {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let found = self.get::<EntryText>(&path, CONFIG_MAP).await;
        let EntryText(entry) = found
            .map_err(EntryError::Request)?
            .ok_or(EntryError::NoConfigMap)?;
        let entry = entry.ok_or(EntryError::NoEntry)?;
        serde_json::from_str(&entry).map_err(EntryError::NotJson)
    }

    /// The plugin's configuration in the chart's `ConfigMap`.
    pub(crate) async fn conf(&self, namespace: &str) -> Result<Decoded, EntryError> {
        let entry = self.entry(namespace).await?;
        MeshConf::decode(&entry).map_err(EntryError::Entry)
    }

    /// The given configuration, or the installed one, or else the plugin's defaults, with a warning.
    pub(crate) async fn given_or_installed_conf(
        &self,
        given: Option<MeshConf>,
        namespace: &str,
        console: &mut Console<'_>,
    ) -> MeshConf {
        let installed = format!("ConfigMap {namespace}/{CONFIG_MAP}");
        let mut conf = match given {
            Some(conf) => conf,
            None => match self.conf(namespace).await {
                Ok(decoded) => console.conf(decoded, &installed),
                Err(error) => {
                    let error = error_reporter::Report::new(error);
                    console.warn(format_args!(
                        "{installed}: {error}; the decisions are those of the plugin's defaults: \
                         give the configuration with --conf"
                    ));
                    MeshConf::default()
                }
            },
        };
        conf.pod_namespace
            .get_or_insert_with(|| namespace.to_owned());
        conf
    }
}
