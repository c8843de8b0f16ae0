//! What who installs the chart must be allowed to do.

use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::decode::Keep;
use serde_json::json;

use super::observed::Right;
use crate::cluster::Cluster;

/// A kind that the chart creates.
struct Kind {
    /// As in the chart's templates; a test compares them.
    #[cfg_attr(not(test), expect(dead_code, reason = "the test reads it"))]
    name: &'static str,
    group: &'static str,
    resource: &'static str,
    is_namespaced: bool,
}

const fn kind(
    name: &'static str,
    group: &'static str,
    resource: &'static str,
    is_namespaced: bool,
) -> Kind {
    Kind {
        name,
        group,
        resource,
        is_namespaced,
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Those that every installation creates.
const ALWAYS: &[Kind] = &[
    kind("ServiceAccount", "", "serviceaccounts", true),
    kind("ConfigMap", "", "configmaps", true),
    kind("DaemonSet", "apps", "daemonsets", true),
    kind("ClusterRole", RBAC, "clusterroles", false),
    kind("ClusterRoleBinding", RBAC, "clusterrolebindings", false),
    // Helm keeps a release there.
    kind("Secret", "", "secrets", true),
];

/// Asks the API server whether the user may create and change each kind.
pub(super) async fn review(cluster: &Cluster, namespace: &str) -> Result<Vec<Right>, ApiError> {
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let keep = const { &Keep::Fields(&[("status", &Keep::All)]) };
    let mut rights = Vec::new();
    for each in ALWAYS {
        for verb in ["create", "patch"] {
            let place = if each.is_namespaced { namespace } else { "" };
            let attributes = json!({
                "namespace": place, "verb": verb, "group": each.group, "resource": each.resource,
            });
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            });
            let answer = cluster.review(path, &review, keep).await?;
            let dot = if each.group.is_empty() { "" } else { "." };
            rights.push(Right {
                what: format!("{verb} {}{dot}{}", each.resource, each.group),
                is_allowed: answer["status"]["allowed"] == true,
            });
        }
    }
    Ok(rights)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Kinds of templates that only some values create. Who lacks these rights gets an error of Helm.
    const SOMETIMES: [&str; 7] = [
        "NetworkAttachmentDefinition",
        "NetworkPolicy",
        "PodMonitor",
        "PrometheusRule",
        "ResourceQuota",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];

    #[test]
    fn the_rights_are_those_for_the_kinds_in_the_chart() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/mesh-cni/templates");
        let files = std::fs::read_dir(folder).expect("the chart has templates");
        let mut kinds = std::collections::BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            let lines = text.lines().filter_map(|line| line.strip_prefix("kind: "));
            kinds.extend(lines.map(str::to_owned));
        }
        let known = ALWAYS
            .iter()
            .map(|each| each.name)
            .filter(|kind| *kind != "Secret");
        let known = known.chain(SOMETIMES).map(str::to_owned).collect();
        assert_eq!(kinds, known);
    }
}
