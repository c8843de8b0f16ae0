//! The fields of a `v1` Pod that hold facts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::error::ManifestError;
use super::node::Node;
use crate::facts::{ContainerFacts, PodFacts, RestartPolicy};

/// Where a manifest names no namespace, Kubernetes means this one.
const DEFAULT_NAMESPACE: &str = "default";

/// User and group of a `securityContext`.
#[derive(Clone, Copy, Default)]
struct Identity {
    user: Option<i64>,
    group: Option<i64>,
}

/// The facts of the Pod at `pod`.
pub(super) fn facts(pod: &Node<'_, '_>) -> Result<PodFacts, ManifestError> {
    let metadata = pod.require("metadata")?;
    let spec = pod.require("spec")?;
    let identity = identity(&spec)?;
    Ok(PodFacts {
        namespace: named(&metadata, "namespace")?.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        name: required_name(&metadata)?,
        uid: named(&metadata, "uid")?,
        host_network: spec.boolean("hostNetwork")?.unwrap_or(false),
        labels: metadata.texts("labels")?,
        annotations: metadata.texts("annotations")?,
        containers: spec.some_list("containers", container)?,
        init_containers: spec.list("initContainers", container)?,
        run_as_user: identity.user,
        run_as_group: identity.group,
        addresses: addresses(pod),
        namespace_labels: None,
    })
}

/// The addresses in `status`. They never decide whether a pod is redirected, so an address that
/// cannot be read counts as absent instead of making the pod unreadable.
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

/// The `name` of an object that must have one.
fn required_name(object: &Node<'_, '_>) -> Result<String, ManifestError> {
    match object.require("name")?.string()? {
        "" => Err(object.missing("name")),
        name => Ok(name.to_owned()),
    }
}

/// A text in which nothing and the empty string mean the same.
fn named(object: &Node<'_, '_>, name: &str) -> Result<Option<String>, ManifestError> {
    let text = object.text(name)?.filter(|text| !text.is_empty());
    Ok(text.map(str::to_owned))
}

fn container(node: &Node<'_, '_>) -> Result<ContainerFacts, ManifestError> {
    let own = identity(node)?;
    let (env, env_from) = variables(node)?;
    Ok(ContainerFacts {
        name: required_name(node)?,
        args: node.list("args", |arg| arg.string().map(str::to_owned))?,
        env,
        env_from,
        run_as_user: own.user,
        run_as_group: own.group,
        restart_policy: restart_policy(node)?,
    })
}

/// The user and group of the `securityContext` of a pod's spec or of a container.
fn identity(owner: &Node<'_, '_>) -> Result<Identity, ManifestError> {
    let Some(context) = owner.field("securityContext")? else {
        return Ok(Identity::default());
    };
    Ok(Identity {
        user: context.number("runAsUser")?,
        group: context.number("runAsGroup")?,
    })
}

fn restart_policy(container: &Node<'_, '_>) -> Result<RestartPolicy, ManifestError> {
    Ok(match container.text("restartPolicy")? {
        None => RestartPolicy::Inherited,
        Some("Always") => RestartPolicy::Always,
        Some(_) => RestartPolicy::Other,
    })
}

/// The variables of `env`: those with a value here, and the names of the others. Of two of the same
/// name the later one counts, as in Kubernetes.
fn variables(
    container: &Node<'_, '_>,
) -> Result<(BTreeMap<String, String>, Vec<String>), ManifestError> {
    let entries = container.list("env", |entry| {
        let name = entry.require("name")?.string()?;
        let elsewhere = entry.field("valueFrom")?.is_some();
        let value = entry.text("value")?.unwrap_or_default();
        Ok((name, (!elsewhere).then_some(value)))
    })?;
    let mut env = BTreeMap::new();
    let mut env_from: Vec<String> = Vec::new();
    for (name, value) in entries {
        env.remove(name);
        env_from.retain(|other| other != name);
        match value {
            Some(value) => drop(env.insert(name.to_owned(), value.to_owned())),
            None => env_from.push(name.to_owned()),
        }
    }
    Ok((env, env_from))
}
