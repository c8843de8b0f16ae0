//! The HTTP server: sockets, limits, routes, and the page.

pub(crate) mod page;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod socket;
