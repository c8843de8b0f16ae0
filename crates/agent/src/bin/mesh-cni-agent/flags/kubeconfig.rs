//! Whether a kubeconfig is written to the node, and for which API server.

use std::path::{Path, PathBuf};

use clap::Args;
use mesh_cni_installer::{ApiServer, KUBECONFIG};
use serde_json::{Map, Value};

use crate::report::Failure;

#[derive(Args)]
#[command(next_help_heading = "The kubeconfig of pod source `api` (no other source writes one)")]
pub(super) struct KubeconfigFlags {
    /// Write a kubeconfig for pod source `auto` too
    #[arg(long)]
    write_kubeconfig: bool,
    /// Where the token and the certificates of the agent's account are mounted
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    pub(super) service_account_dir: PathBuf,
    /// The API server
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", value_name = "HOST")]
    kubernetes_service_host: Option<String>,
    /// The API server's port
    #[arg(
        long,
        env = "KUBERNETES_SERVICE_PORT",
        value_name = "PORT",
        default_value_t = 443
    )]
    kubernetes_service_port: u16,
}

impl KubeconfigFlags {
    /// The server to write a kubeconfig for, if one is to be written: where the source asks the API
    /// server, and the operator has not named a kubeconfig of their own. The entry then names ours.
    pub(super) fn api_server(
        &self,
        entry: &mut Map<String, Value>,
    ) -> Result<Option<ApiServer>, Failure> {
        let source = entry.get("pod_source").and_then(Value::as_str);
        let asked = match source.unwrap_or("auto") {
            "api" => true,
            "auto" => self.write_kubeconfig,
            _ => false,
        };
        if !asked || entry.contains_key("kubeconfig") {
            return Ok(None);
        }
        let Some(host) = self.kubernetes_service_host.clone() else {
            let message = "pod source `api` needs a kubeconfig, and no API server is known";
            return Err(Failure::wrong(
                message.to_owned(),
                "run in the cluster, name the server with --kubernetes-service-host, or a \
                 kubeconfig of your own with --kubeconfig",
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
