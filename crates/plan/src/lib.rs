//! From a pod's facts and the plugin's network configuration to a decision and its rules.
//!
//! This is the one place where *whether* (the selector) and *how* (the rules) meet, so that the
//! plugin, the node agent and the command line come to the same answer for the same pod. It does
//! no I/O.
//!
//! ```
//! use mesh_cni_plan::{MeshConf, Plan, plan};
//! use mesh_cni_selector::PodFacts;
//! use serde_json::json;
//!
//! let entry = json!({"type": "mesh-cni", "exclude_namespaces": ["kube-*"]});
//! let conf = MeshConf::decode(entry.as_object().unwrap())?.conf;
//! let facts = PodFacts::from_manifest(
//!     "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web}]}",
//! )?;
//! assert!(matches!(plan(&facts, &conf, &[])?, Plan::Skip(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod identity;
mod mesh_conf;
mod plan;

pub use identity::ProxyRedirected;
pub use mesh_conf::{
    BackendName, ConfError, Decoded, LogLevel, MeshConf, PLUGIN_TYPE, PodSourceName, Profile,
    RulesetName,
};
pub use plan::{Plan, PlanError, Redirection, plan};
