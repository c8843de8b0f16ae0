//! The log of a container.

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::pod::PodName;
use tokio::time::timeout;

use super::Cluster;
use super::exec::{ExecError, ExecLimits};

/// The most of a log, in bytes.
const MAX_BYTES: i64 = 1 << 20;

impl Cluster {
    /// The last lines of a container's log.
    pub(crate) async fn log(
        &self,
        pod: &PodName,
        container: &str,
        lines: u16,
    ) -> Result<String, ExecError> {
        let time = ExecLimits::default().time;
        let client = self.api.client().await?;
        let pods: kube::Api<Pod> = kube::Api::namespaced(client, &pod.namespace);
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(lines.into()),
            limit_bytes: Some(MAX_BYTES),
            ..LogParams::default()
        };
        let log = timeout(time, pods.logs(&pod.name, &params)).await;
        let log = log.map_err(|_elapsed| ExecError::Timeout(time))?;
        Ok(log.map_err(|error| ApiError::from(Box::new(error)))?)
    }
}
