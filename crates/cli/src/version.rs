//! `version`: the versions of this program and of the interfaces that it supports.

use mesh_cni_agent_api::PROTOCOL_VERSION;
use mesh_cni_spec::SpecVersion;
use serde::Serialize;

use crate::arguments::{NAME, Output, VersionArguments};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this program.
    version: &'static str,
    /// The versions of the CNI specification that the plugin of this release supports.
    cni_versions: Vec<String>,
    /// The version of the protocol between plugin, agent and this program.
    protocol_version: u32,
}

/// Prints the versions.
pub(crate) fn run(
    arguments: &VersionArguments,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    let versions = Report {
        version: env!("CARGO_PKG_VERSION"),
        cni_versions: SpecVersion::ALL.iter().map(ToString::to_string).collect(),
        protocol_version: PROTOCOL_VERSION,
    };
    let text = match arguments.output {
        Output::Json => json(&versions),
        Output::Text => format!(
            "{NAME} {}\nCNI {}\nagent protocol {}\n",
            versions.version,
            versions.cni_versions.join(", "),
            versions.protocol_version
        ),
    };
    console.result(&text)?;
    Ok(Exit::Done)
}
