//! A client of the Kubernetes API server for programs that must not trust what they read: it decodes
//! only the fields that are used, each object by itself, and limits bytes, values and time.
//!
//! | module | content |
//! |---|---|
//! | [`access`] | credentials and address: service account, kubeconfig |
//! | [`api`] | requests: watches, and one object |
//! | [`list`], [`list_body`] | lists, from the API server's cache or in pages, decoded object by object |
//! | [`api_error`] | why a request failed |
//! | [`object`] | [`Object`](object::Object), a kind of object and its used fields |
//! | [`decode`] | decodes the used fields and skips all others |
//! | [`events`] | the events of a watch |
//! | [`pod`], [`container`] | a pod, with the facts that decide about redirection |
//! | [`namespace`] | a namespace, its labels and annotations |

#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod api_error;
pub mod container;
pub mod decode;
pub mod events;
pub mod list;
pub mod list_body;
pub mod namespace;
pub mod object;
pub mod pod;
mod pod_fields;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
