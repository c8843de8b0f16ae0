//! Selects pods, and lists the conditions that decide.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::checks::{self, Check, CheckResult};
use crate::facts::{PodFacts, SidecarKind};
use crate::mesh::{Mesh, MeshSet, istio};
use crate::policy::Policy;
use crate::quoted::Quoted;
use crate::reason::SkipReason;

/// Whether a pod's traffic must be redirected.
///
/// As JSON it is `{"decision": "redirect", "mesh": "istio", "sidecar": "container"}`,
/// `{"decision": "enrol", "mesh": "ambient"}`, or `{"decision": "skip", "code": …, "reason": …}` with the
/// reason's code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Redirect it through the mesh's sidecar.
    Redirect {
        /// The mesh.
        mesh: Mesh,
        /// The kind of sidecar.
        sidecar: SidecarKind,
    },
    /// Redirect it to ztunnel, which must know the pod before it starts.
    Enrol,
    /// Skip it for this reason.
    Skip(SkipReason),
}

/// The facts lack something that the policy needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingFacts {
    /// The policy selects by the labels of namespaces, but those of the pod's namespace are unknown.
    #[error(
        "`{field}` requires the labels of namespace {}, but the facts about the pod have no `namespace_labels`",
        Quoted(namespace)
    )]
    NamespaceLabels {
        /// The pod's namespace.
        namespace: String,
        /// The field of the configuration that needs them.
        field: &'static str,
    },
    /// The annotations of the namespace are settings of the pod, and are unknown.
    #[error(
        "annotations of namespace {} are settings of pods of {mesh}, but the facts about the pod have no `namespace_annotations`",
        Quoted(namespace)
    )]
    NamespaceAnnotations {
        /// The pod's namespace.
        namespace: String,
        /// The pod's mesh.
        mesh: Mesh,
    },
    /// The type of the proxy decides, but its arguments are unknown.
    #[error(
        "the type of the proxy is not known: annotation `{}` is {}, which is none of Istio's own templates",
        istio::TEMPLATES,
        Quoted(templates)
    )]
    ProxyType {
        /// The pod's injection templates.
        templates: String,
    },
}

/// Why no decision is possible for a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The policy needs facts that are missing.
    #[error(transparent)]
    MissingFacts(#[from] MissingFacts),
    /// The pod has the proxies of several served meshes, and each mesh's rules redirect the same
    /// packets.
    #[error("the pod has the proxies of several meshes: {}", proxies(*meshes))]
    SeveralMeshes {
        /// The meshes.
        meshes: MeshSet,
    },
}

/// For example "`istio-proxy` of Istio and `linkerd-proxy` of Linkerd".
fn proxies(meshes: MeshSet) -> String {
    let proxy = |mesh: Mesh| Some(format!("`{}` of {mesh}", mesh.marks()?.proxy));
    let proxies: Vec<_> = meshes.iter().filter_map(proxy).collect();
    proxies.join(" and ")
}

/// A condition, evaluated for one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What must hold, as a short phrase that is the same for every pod.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The fact that decides it.
    pub fact: String,
}

/// Decides whether the pod's traffic must be redirected. The first condition that fails is the
/// reason for a skip.
pub fn select(facts: &PodFacts, policy: &Policy) -> Result<Selection, SelectError> {
    if let Some(reason) = first_failure(checks::COMMON, facts, policy)? {
        return Ok(Selection::Skip(reason));
    }
    let Some(mesh) = mesh_of(facts, policy)? else {
        return Ok(Selection::Skip(checks::no_proxy(policy.meshes, facts)));
    };
    if let Some(reason) = first_failure(checks::of(mesh, policy.selection), facts, policy)? {
        return Ok(Selection::Skip(reason));
    }
    Ok(match facts.proxy(mesh) {
        Some(proxy) => Selection::Redirect {
            mesh,
            sidecar: proxy.kind,
        },
        None if mesh == Mesh::Ambient => Selection::Enrol,
        // Never reached: every other mesh requires a proxy.
        None => Selection::Skip(checks::no_proxy(mesh.into(), facts)),
    })
}

fn first_failure(
    checks: &[Check],
    facts: &PodFacts,
    policy: &Policy,
) -> Result<Option<SkipReason>, MissingFacts> {
    for check in checks {
        match (check.run)(facts, policy) {
            CheckResult::Holds(_) => {}
            CheckResult::Fails(reason) => return Ok(Some(reason)),
            CheckResult::Unknown(missing) => return Err(missing),
        }
    }
    Ok(None)
}

/// The served mesh whose proxy the pod has; without any, ambient mode if that is served, and otherwise
/// `None`. If only one mesh is served, its conditions decide about the proxy too.
fn mesh_of(facts: &PodFacts, policy: &Policy) -> Result<Option<Mesh>, SelectError> {
    if let Some(only) = policy.meshes.only() {
        return Ok(Some(only));
    }
    let has_proxy = |mesh: &Mesh| facts.proxy(*mesh).is_some();
    let serves_ambient = policy.meshes.contains(Mesh::Ambient);
    let carried: MeshSet = policy.meshes.iter().filter(has_proxy).collect();
    if carried == MeshSet::default() {
        return Ok(serves_ambient.then_some(Mesh::Ambient));
    }
    if let Some(only) = carried.only() {
        // A gateway of Istio may be in ambient mode.
        let is_enrolled = serves_ambient
            && only == Mesh::Istio
            && checks::is_gateway(facts)
            && first_failure(checks::of(Mesh::Ambient, policy.selection), facts, policy)?.is_none();
        return Ok(Some(if is_enrolled { Mesh::Ambient } else { only }));
    }
    // A gateway of Istio may have the sidecar of another mesh.
    let is_sidecar = |mesh: &Mesh| *mesh != Mesh::Istio || !checks::is_gateway(facts);
    let meshes: MeshSet = carried.iter().filter(is_sidecar).collect();
    match meshes.only() {
        None => Err(SelectError::SeveralMeshes { meshes }),
        only => Ok(only),
    }
}

/// Evaluates the conditions that apply to the pod, in order.
///
/// [`select`] redirects if and only if all of them hold. A condition with missing facts does not
/// hold.
pub fn conditions(facts: &PodFacts, policy: &Policy) -> Vec<Condition> {
    let condition = |check: &Check| {
        let (holds, fact) = match (check.run)(facts, policy) {
            CheckResult::Holds(fact) => (true, fact),
            CheckResult::Fails(reason) => (false, reason.to_string()),
            CheckResult::Unknown(missing) => (false, missing.to_string()),
        };
        Condition {
            name: check.name,
            holds,
            fact,
        }
    };
    let mut conditions: Vec<_> = checks::COMMON.iter().map(condition).collect();
    let without_mesh = |fact| Condition {
        name: "it has the proxy of one served mesh",
        holds: false,
        fact,
    };
    match mesh_of(facts, policy) {
        Ok(Some(mesh)) => {
            conditions.extend(checks::of(mesh, policy.selection).iter().map(condition));
        }
        Ok(None) => {
            let reason = checks::no_proxy(policy.meshes, facts);
            conditions.push(without_mesh(reason.to_string()));
        }
        Err(error) => conditions.push(without_mesh(error.to_string())),
    }
    conditions
}

impl Selection {
    /// The reason for a skip.
    pub fn reason(&self) -> Option<&SkipReason> {
        match self {
            Self::Redirect { .. } | Self::Enrol => None,
            Self::Skip(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect {
                sidecar: SidecarKind::Container,
                ..
            } => f.write_str("redirect, through a sidecar container"),
            Self::Redirect {
                sidecar: SidecarKind::Native,
                ..
            } => f.write_str("redirect, through a native sidecar"),
            Self::Enrol => f.write_str("enrol, in ambient mode"),
            Self::Skip(reason) => write!(f, "skip, {reason}"),
        }
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Redirect { mesh, sidecar } => {
                let mut object = serializer.serialize_struct("Selection", 3)?;
                object.serialize_field("decision", "redirect")?;
                object.serialize_field("mesh", mesh)?;
                object.serialize_field("sidecar", sidecar)?;
                object.end()
            }
            Self::Enrol => {
                let mut object = serializer.serialize_struct("Selection", 2)?;
                object.serialize_field("decision", "enrol")?;
                object.serialize_field("mesh", &Mesh::Ambient)?;
                object.end()
            }
            Self::Skip(reason) => {
                let mut object = serializer.serialize_struct("Selection", 3)?;
                object.serialize_field("decision", "skip")?;
                object.serialize_field("code", reason.code())?;
                object.serialize_field("reason", &reason.to_string())?;
                object.end()
            }
        }
    }
}
