//! The API server: client, lists and watches, and the pods of this node as known from them.

pub(crate) mod api;
pub(crate) mod api_error;
pub(crate) mod container;
pub(crate) mod decode;
pub(crate) mod events;
pub(crate) mod lookup;
pub(crate) mod object;
pub(crate) mod pod;
pub(crate) mod pod_event;
pub(crate) mod pod_fields;
pub(crate) mod pods;
pub(crate) mod reflector;
pub(crate) mod store;
