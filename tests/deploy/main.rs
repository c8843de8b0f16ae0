//! What operators install: the chart, the plain manifests, the rights, the image.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends the test")]
#![expect(clippy::panic, reason = "a failed assertion ends the test")]

mod agent;
#[cfg(feature = "image-tests")]
mod architectures;
mod chart;
mod image;
mod istio_values;
mod manifests;
mod monitoring;
mod own_node;
mod package;
mod platforms;
mod readme;
mod refusals;
mod renders;
mod rights;
mod sbom;
