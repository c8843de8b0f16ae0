//! The API server: watches, and the pods of this node as known from them.

pub(crate) mod lookup;
pub(crate) mod namespaces;
pub(crate) mod pod_event;
pub(crate) mod pods;
pub(crate) mod reflector;
pub(crate) mod store;
