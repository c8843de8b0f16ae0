//! The judgement before the installation: from what is known of a cluster to findings.

use serde_json::Value;

use super::common;
use super::finding::{CheckId, Finding};
use super::groups::{count, grouped};
use super::node::Node;
use super::objects::{ConfigMap, DaemonSet};
use super::observed::{Installation, ObservedBefore, Right};

/// `DaemonSet`s of other CNI plugins that redirect pods, by the beginning of their names.
const OTHERS: &[(&str, &str)] = &[
    (
        "istio-cni-node",
        "set `replaceIstioCni=true` to replace it, or remove it: both redirect the same pods",
    ),
    (
        "linkerd-cni",
        "if `profile` contains `linkerd`, set `replace={linkerd-cni}` to replace it, or remove it",
    ),
    (
        "kuma-cni",
        "if `profile` contains `kuma`, set `replace={kuma-cni}` to replace it, or remove it",
    ),
    (
        "kong-mesh-cni",
        "if `profile` contains `kuma`, set `replace={kuma-cni}` to replace it, or remove it",
    ),
];

/// The `ConfigMap`s in which Istio's control planes keep the values of the injector, one for each revision.
const INJECTOR: &str = "istio-sidecar-injector";

/// Judges a cluster.
pub(crate) fn judge(observed: &ObservedBefore) -> Vec<Finding> {
    let common = &observed.common;
    let mut findings = vec![common::api_server(common)];
    findings.extend(observed.rights.as_deref().map(rights));
    let installation = observed.installation.as_ref();
    findings.extend(installation.map(|found| pod_security(&common.namespace, found)));
    if let Some(nodes) = &common.nodes {
        findings.extend(node_systems(nodes));
        findings.extend(runtimes(nodes));
        findings.extend(platforms(nodes));
    }
    if let Some(daemon_sets) = &common.daemon_sets {
        findings.extend(other_mesh_cni(daemon_sets));
    }
    if let Some(istio) = &observed.istio {
        findings.extend(injectors(istio, &observed.istio_namespace));
    }
    findings.extend(common::pods(
        common,
        ["would be redirected", "would be refused"],
    ));
    findings.extend(common::objects(common));
    findings
}

fn rights(rights: &[Right]) -> Finding {
    let missing: Vec<_> = rights
        .iter()
        .filter(|right| !right.is_allowed)
        .map(|right| right.what.clone())
        .collect();
    if missing.is_empty() {
        let number = rights.len();
        let text = format!("the user may do what an installation needs ({number} rights)");
        return Finding::ok(CheckId::Rights, text);
    }
    let text = format!("the user lacks {}", count(missing.len(), "right"));
    Finding::failed(CheckId::Rights, text)
        .hint("install as a user who may do this, such as one with the role cluster-admin")
        .names(missing)
}

fn pod_security(namespace: &str, found: &Installation) -> Finding {
    let Installation::Namespace(labels) = found else {
        let text = format!("namespace `{namespace}` does not exist");
        return Finding::warning(CheckId::PodSecurity, text).hint(format!(
            "create it with `kubectl create namespace {namespace}`"
        ));
    };
    match labels
        .get("pod-security.kubernetes.io/enforce")
        .map(String::as_str)
    {
        None | Some("privileged") => {
            let text = format!("namespace `{namespace}` does not restrict pods");
            Finding::ok(CheckId::PodSecurity, text)
        }
        Some(level) => {
            let text = format!(
                "namespace `{namespace}` enforces level `{level}`, which refuses the agent's pods"
            );
            Finding::failed(CheckId::PodSecurity, text).hint(format!(
                "the agent uses host paths and the host's network: install it in another namespace, or run \
                 `kubectl label --overwrite namespace {namespace} \
                 pod-security.kubernetes.io/enforce=privileged`"
            ))
        }
    }
}

/// Operating system, architecture and kernel of each group of equal nodes.
fn node_systems(nodes: &[Node]) -> Vec<Finding> {
    if nodes.is_empty() {
        return vec![
            Finding::failed(CheckId::NodeSystem, "the cluster has no nodes")
                .hint("add a node, or use credentials that may list nodes"),
        ];
    }
    let key = |node: &Node| {
        let system = format!(
            "{}, {}, kernel {}",
            node.os_image, node.architecture, node.kernel
        );
        (node.is_linux(), is_built_for(node), system)
    };
    let groups = grouped(nodes.iter().map(|node| (key(node), &node.name)));
    let finding = |((is_linux, is_built, system), names): ((bool, bool, String), Vec<String>)| {
        let text = format!("{}: {system}", count(names.len(), "node"));
        let finding = if !is_linux {
            Finding::ok(CheckId::NodeSystem, text + "; gets no agent")
        } else if is_built {
            Finding::ok(CheckId::NodeSystem, text)
        } else {
            Finding::failed(CheckId::NodeSystem, text).hint(
                "mesh-cni is built for amd64 and arm64: exclude these nodes with the chart's nodeSelector",
            )
        };
        finding.names(names)
    };
    groups.into_iter().map(finding).collect()
}

fn is_built_for(node: &Node) -> bool {
    matches!(node.architecture.as_str(), "amd64" | "arm64")
}

fn linux(nodes: &[Node]) -> impl Iterator<Item = &Node> {
    nodes.iter().filter(|node| node.is_linux())
}

fn runtimes(nodes: &[Node]) -> Vec<Finding> {
    let key = |node: &Node| (node.runtime.clone(), node.cni_version());
    let groups = grouped(linux(nodes).map(|node| (key(node), &node.name)));
    let finding = |((runtime, version), names): ((String, Option<&str>), Vec<String>)| {
        let nodes = count(names.len(), "node");
        let finding = match version {
            Some(version) => Finding::ok(
                CheckId::ContainerRuntime,
                format!("{nodes}: {runtime}, which uses CNI {version}"),
            ),
            None => Finding::warning(
                CheckId::ContainerRuntime,
                format!("{nodes}: {runtime}, whose version of CNI is not known"),
            )
            .hint(
                "mesh-cni accepts CNI 0.1.0 to 1.1.0; docs/compatibility.md lists tested runtimes",
            ),
        };
        finding.names(names)
    };
    groups.into_iter().map(finding).collect()
}

/// The values that the chart must be given. Nodes of different kinds need different releases.
fn platforms(nodes: &[Node]) -> Vec<Finding> {
    let key = |node: &Node| (common::directories(node), node.platform());
    let groups = grouped(linux(nodes).map(|node| (key(node), &node.name)));
    let places: std::collections::BTreeSet<_> =
        groups.iter().map(|((places, _), _)| *places).collect();
    let mut findings: Vec<_> = groups
        .iter()
        .map(|(((bin_dirs, conf_dir), platform), names)| {
            let nodes = count(names.len(), "node");
            let bin_dir = bin_dirs.first().copied().unwrap_or_default();
            let known = platform.filter(|name| mesh_cni_installer::Platform::named(name).is_ok());
            let value = known.map_or_else(
                || "the chart's defaults fit".to_owned(),
                |name| format!("install with `--set platform={name}`"),
            );
            let name = platform.unwrap_or("no known distribution");
            let text = format!(
                "{nodes}: {name}; plugins in {bin_dir}, configurations in {conf_dir}; {value}"
            );
            Finding::ok(CheckId::Platform, text).names(names.clone())
        })
        .collect();
    if places.len() > 1 {
        findings.push(
            Finding::warning(
                CheckId::Platform,
                format!(
                    "the nodes need {} different pairs of directories",
                    places.len()
                ),
            )
            .hint("a release has one pair: install it for one kind of node, and exclude the others with the chart's \
                    nodeSelector"),
        );
    }
    findings
}

fn other_mesh_cni(daemon_sets: &[DaemonSet]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for daemon_set in daemon_sets {
        let name = daemon_set.full_name();
        if daemon_set.name == "mesh-cni-agent" {
            let text = format!("{name} is installed already");
            findings.push(Finding::warning(CheckId::OtherMeshCni, text).hint(
                "to change it, use `helm upgrade`; `mesh-cnictl check` checks the installation",
            ));
        }
        if let Some((_, hint)) = OTHERS
            .iter()
            .find(|(start, _)| daemon_set.name.starts_with(start))
        {
            let text = format!("{name} also redirects pods");
            findings.push(Finding::warning(CheckId::OtherMeshCni, text).hint(*hint));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CheckId::OtherMeshCni,
            "no other CNI plugin of a mesh is installed",
        ));
    }
    findings
}

fn injectors(maps: &[ConfigMap], namespace: &str) -> Vec<Finding> {
    let findings: Vec<_> = maps
        .iter()
        .filter(|map| map.name.starts_with(INJECTOR))
        .map(|map| {
            let name = format!("{namespace}/{}", map.name);
            let values = map.values.as_deref().unwrap_or_default();
            match serde_json::from_str(values).map(|values| leaves_rules_to_cni(&values)) {
                Ok(true) => Finding::ok(
                    CheckId::Injector,
                    format!("the injector of {name} leaves the rules to a CNI plugin"),
                ),
                Ok(false) => Finding::warning(
                    CheckId::Injector,
                    format!("the injector of {name} still adds istio-init, which writes the rules itself"),
                )
                .hint("set `pilot.cni.enabled=true` in the mesh's configuration, and restart the pods"),
                Err(error) => Finding::warning(
                    CheckId::Injector,
                    format!("the values of {name} cannot be read: {error}"),
                )
                .hint("check whether new pods have an init container `istio-init`"),
            }
        })
        .collect();
    if findings.is_empty() {
        let text = format!("namespace `{namespace}` has no injector's settings");
        return vec![Finding::ok(CheckId::Injector, text).hint(
            "with a managed control plane, check whether new pods have an init container `istio-init`; \
             --istio-namespace selects another namespace",
        )];
    }
    findings
}

/// Whether the values of Istio's charts enable a CNI plugin, under their names of several releases.
fn leaves_rules_to_cni(values: &Value) -> bool {
    [
        "/pilot/cni/enabled",
        "/global/istio_cni/enabled",
        "/istio_cni/enabled",
    ]
    .iter()
    .any(|path| values.pointer(path) == Some(&Value::Bool(true)))
}
