//! The HTTP server: sockets, limits, routes, and the page.

pub(crate) mod host;
pub(crate) mod limits;
pub(crate) mod page;
pub(crate) mod places;
pub(crate) mod port;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod socket;
