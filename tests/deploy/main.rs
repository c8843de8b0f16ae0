//! What operators install: the chart, the plain manifests, the rights, the image.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]
#![expect(clippy::panic, reason = "a failed assertion ends the test")]

mod agent;
mod chart;
mod image;
mod manifests;
mod own_node;
mod refusals;
mod renders;
mod rights;
mod sbom;
