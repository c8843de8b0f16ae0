//! Reads the facts from the fields of a `v1` Pod.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::error::ManifestError;
use super::node::Node;
use crate::facts::{ContainerFacts, PodFacts, RestartPolicy};
use crate::mesh::Mesh;
use crate::name_servers::NameServers;

/// The namespace of a manifest without `metadata.namespace`.
const DEFAULT_NAMESPACE: &str = "default";

/// The annotation of the mirror of a static pod; its value does not matter.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The annotation with the kubelet's UID of a static pod.
const STATIC_POD_UID: &str = "kubernetes.io/config.hash";

/// Reads a Pod.
pub(super) fn facts(pod: &Node<'_, '_>) -> Result<PodFacts, ManifestError> {
    let metadata = pod.require("metadata")?;
    let spec = pod.require("spec")?;
    let (run_as_user, run_as_group) = user_and_group(&spec)?;
    let annotations = metadata.texts("annotations")?;
    let mut facts = PodFacts {
        namespace: non_empty(&metadata, "namespace")?
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        name: required_name(&metadata)?,
        uid: non_empty(&metadata, "uid")?,
        static_pod_uid: static_pod_uid(pod.value(), &annotations),
        host_network: spec.boolean("hostNetwork")?.unwrap_or(false),
        user_namespace: !spec.boolean("hostUsers")?.unwrap_or(true),
        labels: metadata.texts("labels")?,
        annotations,
        containers: spec.non_empty_list("containers", container)?,
        init_containers: spec.list("initContainers", container)?,
        run_as_user,
        run_as_group,
        unknown_proxy_type: false,
        addresses: addresses(pod),
        name_servers: NameServers::Unknown,
        namespace_labels: None,
        namespace_annotations: None,
    };
    // Only rules of Kuma depend on them, and each ADD reads all facts.
    if facts.proxy(Mesh::Kuma).is_some() {
        facts.name_servers = NameServers::of_spec(spec.value());
    }
    Ok(facts)
}

/// The kubelet's UID of a static pod, if this is the mirror that the kubelet of the pod's node
/// created.
fn static_pod_uid(pod: &Value, annotations: &BTreeMap<String, String>) -> Option<String> {
    let node = pod["spec"]["nodeName"]
        .as_str()
        .filter(|name| !name.is_empty())?;
    let mut owners = pod["metadata"]["ownerReferences"].as_array()?.iter();
    let is_of_node = owners.any(|owner| {
        owner["apiVersion"] == "v1" && owner["kind"] == "Node" && owner["name"] == node
    });
    let uid = annotations
        .get(STATIC_POD_UID)
        .filter(|uid| !uid.is_empty())?;
    (is_of_node && annotations.contains_key(MIRROR)).then(|| uid.clone())
}

/// The addresses in `status`. Invalid ones are ignored: the addresses do not affect the selection,
/// so they must not make a Pod unreadable.
fn addresses(pod: &Node<'_, '_>) -> Vec<IpAddr> {
    let status = &pod.value()["status"];
    let address = |value: &Value| value.as_str()?.parse().ok();
    let listed = status["podIPs"].as_array().into_iter().flatten();
    let mut addresses: Vec<IpAddr> = listed.filter_map(|item| address(&item["ip"])).collect();
    if addresses.is_empty() {
        addresses.extend(address(&status["podIP"]));
    }
    addresses
}

/// The name of an object that must have one.
fn required_name(object: &Node<'_, '_>) -> Result<String, ManifestError> {
    match object.require("name")?.string()? {
        "" => Err(object.missing("name")),
        name => Ok(name.to_owned()),
    }
}

/// The text in the field, unless it is missing or empty.
fn non_empty(object: &Node<'_, '_>, name: &str) -> Result<Option<String>, ManifestError> {
    Ok(object
        .text(name)?
        .filter(|text| !text.is_empty())
        .map(str::to_owned))
}

fn container(node: &Node<'_, '_>) -> Result<ContainerFacts, ManifestError> {
    let (run_as_user, run_as_group) = user_and_group(node)?;
    let (env, env_from) = variables(node)?;
    Ok(ContainerFacts {
        name: required_name(node)?,
        args: node.list("args", |arg| arg.string().map(str::to_owned))?,
        env,
        env_from,
        run_as_user,
        run_as_group,
        restart_policy: restart_policy(node)?,
    })
}

/// `runAsUser` and `runAsGroup` in the `securityContext` of a pod spec or a container.
fn user_and_group(owner: &Node<'_, '_>) -> Result<(Option<i64>, Option<i64>), ManifestError> {
    let Some(context) = owner.field("securityContext")? else {
        return Ok((None, None));
    };
    Ok((context.number("runAsUser")?, context.number("runAsGroup")?))
}

fn restart_policy(container: &Node<'_, '_>) -> Result<RestartPolicy, ManifestError> {
    Ok(match container.text("restartPolicy")? {
        None => RestartPolicy::Inherited,
        Some("Always") => RestartPolicy::Always,
        Some(_) => RestartPolicy::Other,
    })
}

/// The variables of `env`: those with a value, and the names of those with a `valueFrom`. As in
/// Kubernetes, a later variable replaces an earlier one of the same name.
fn variables(
    container: &Node<'_, '_>,
) -> Result<(BTreeMap<String, String>, Vec<String>), ManifestError> {
    let entries = container.list("env", |entry| {
        let name = entry.require("name")?.string()?;
        let has_value_from = entry.field("valueFrom")?.is_some();
        let value = entry.text("value")?.unwrap_or_default();
        Ok((name, (!has_value_from).then_some(value)))
    })?;
    // The last entry of a name counts. A map, since a pod may have many thousands of entries.
    let last: BTreeMap<&str, usize> = entries
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (*name, index))
        .collect();
    let (mut env, mut env_from) = (BTreeMap::new(), Vec::new());
    for (index, (name, value)) in entries.into_iter().enumerate() {
        match value {
            _ if last.get(name) != Some(&index) => {}
            Some(value) => drop(env.insert(name.to_owned(), value.to_owned())),
            None => env_from.push(name.to_owned()),
        }
    }
    Ok((env, env_from))
}
