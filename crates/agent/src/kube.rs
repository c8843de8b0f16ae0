//! The API server: its client, lists and watches, and the pods of this node that are known from them.

pub(crate) mod api;
pub(crate) mod facts;
pub(crate) mod pod;
pub(crate) mod pods;
pub(crate) mod store;
pub(crate) mod watch;
