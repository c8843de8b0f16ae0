//! How to connect to the API server.

use std::path::PathBuf;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::api_error::ApiError;

/// How to connect to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAccess {
    /// With the environment and the mounted service account of a pod.
    InCluster,
    /// With a kubeconfig.
    Kubeconfig(PathBuf),
    /// As `kubectl` does.
    Kubectl {
        /// The kubeconfig; `None` for those that `KUBECONFIG` names, or else `~/.kube/config`.
        kubeconfig: Option<PathBuf>,
        /// The context; `None` for the current one.
        context: Option<String>,
    },
}

impl ApiAccess {
    pub(crate) async fn config(&self) -> Result<Config, ApiError> {
        let (kubeconfig, context) = match self {
            Self::InCluster => {
                return Config::incluster().map_err(|error| ApiError::Access(error.into()));
            }
            Self::Kubeconfig(path) => (Some(path), None),
            Self::Kubectl {
                kubeconfig,
                context,
            } => (kubeconfig.as_ref(), context.clone()),
        };
        let options = KubeConfigOptions {
            context,
            ..KubeConfigOptions::default()
        };
        let config = match kubeconfig {
            Some(path) => match Kubeconfig::read_from(path) {
                Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
                Err(error) => Err(error),
            },
            None => Config::from_kubeconfig(&options).await,
        };
        config.map_err(|error: KubeconfigError| ApiError::Access(error.into()))
    }
}
