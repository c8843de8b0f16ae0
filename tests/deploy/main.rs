//! Proof of what operators install: the chart, the plain manifests, the rights, the image.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
#![expect(clippy::panic, reason = "a test ends where it fails")]

mod agent;
mod chart;
mod image;
mod manifests;
mod refusals;
mod renders;
mod rights;
