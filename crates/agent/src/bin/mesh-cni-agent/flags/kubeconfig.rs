//! The flags that decide whether a kubeconfig is written to the node, and for which API server.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_cni_installer::{ApiServer, KUBECONFIG};
use serde_json::{Map, Value};

use crate::failure::Failure;

#[derive(Args)]
#[command(next_help_heading = "The kubeconfig of pod source `api` (not written for other sources)")]
pub(super) struct KubeconfigFlags {
    /// Also write a kubeconfig for pod source `auto`
    #[arg(long)]
    write_kubeconfig: bool,
    /// The directory with the token and the certificates of the agent's service account
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    pub(super) service_account_dir: PathBuf,
    /// The host name or address of the API server
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", value_name = "HOST")]
    kubernetes_service_host: Option<String>,
    /// The port of the API server
    #[arg(
        long,
        env = "KUBERNETES_SERVICE_PORT",
        value_name = "PORT",
        default_value_t = 443
    )]
    kubernetes_service_port: u16,
}

impl KubeconfigFlags {
    /// The server of the kubeconfig to write, if the pod source is the API server and the entry has no
    /// kubeconfig yet. Sets the path in the entry.
    pub(super) fn api_server(
        &self,
        entry: &mut Map<String, Value>,
    ) -> Result<Option<ApiServer>, Failure> {
        let source = entry.get("pod_source").and_then(Value::as_str);
        let needed = match source.unwrap_or("auto") {
            "api" => true,
            "auto" => self.write_kubeconfig,
            _ => false,
        };
        if !needed || entry.contains_key("kubeconfig") {
            return Ok(None);
        }
        let Some(host) = self.kubernetes_service_host.clone() else {
            let message = "pod source `api` needs a kubeconfig, but the API server is not known";
            return Err(Failure::wrong(
                message.to_owned(),
                "run the agent in the cluster, or set --kubernetes-service-host, or set --kubeconfig \
                 to an existing kubeconfig",
            ));
        };
        let run_dir = entry.get("cni_agent_run_dir").and_then(Value::as_str);
        let path = Path::new(run_dir.unwrap_or("/run/mesh-cni")).join(KUBECONFIG);
        let path = path.to_string_lossy().into_owned();
        entry.insert("kubeconfig".to_owned(), Value::from(path));
        let port = self.kubernetes_service_port;
        Ok(Some(ApiServer { host, port }))
    }
}
