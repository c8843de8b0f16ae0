//! Why a cluster is not reached, and what to do.

use mesh_cni_kube::api_error::ApiError;

use super::ClusterArguments;
use crate::failure::Failure;

/// The failure of the first request.
pub(super) fn failure(error: ApiError, arguments: &ClusterArguments) -> Failure {
    let hint = match &error {
        ApiError::Access(_) => {
            "give --kubeconfig a file, and --context one of `kubectl config get-contexts`"
        }
        ApiError::Request(_) | ApiError::Timeout(_) | ApiError::Read(_) => {
            "check the server's address and the network with `kubectl version`; \
             --context selects another cluster"
        }
        _ if error.code() == Some(401) => {
            "the API server does not accept the credentials: log in again, and check with \
             `kubectl auth whoami`"
        }
        _ => "check the cluster with `kubectl version`",
    };
    let whose = match (&arguments.kubeconfig, &arguments.context) {
        (_, Some(context)) => format!("context `{context}`"),
        (Some(path), None) => format!("kubeconfig `{}`", path.display()),
        (None, None) => "the current context of the kubeconfig".to_owned(),
    };
    Failure::environment(error).about(whose).hint(hint)
}

/// The failure of a later request for that kind of object.
pub(crate) fn request_failure(error: ApiError, what: &str) -> Failure {
    let lacks_right = error.lacks_right();
    let failure = Failure::environment(error).about(format!("cannot read {what}"));
    if lacks_right {
        failure.hint(format!("use credentials with the right to list {what}"))
    } else {
        failure
    }
}
