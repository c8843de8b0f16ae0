//! The plugin on the node: its files, and the answer to CNI's STATUS, which runtimes get too.

use std::process::Command;

use mesh_cni_installer::{Installation, NodePaths, NodeStatus};
use mesh_cni_netns::RunLimits;
use mesh_cni_netns::program::{self, Stdin};
use mesh_cni_plan::MeshConf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ShownProblem;
use crate::console::{BAD, GOOD, Styled};

/// The first version of CNI with STATUS.
const CNI_VERSION: &str = "1.1.0";

/// Whether the plugin is installed, and how.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Plugin {
    /// Whether binary and entry are in place.
    installation: ShownInstallation,
    /// The network configuration with the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    conf: Option<String>,
    /// Where the plugin gets facts about pods, such as `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_source: Option<String>,
}

/// Whether binary and entry are in place.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum ShownInstallation {
    Installed,
    NotInstalled,
    PartlyInstalled,
}

/// The plugin's error, as the CNI specification defines it.
#[derive(Deserialize)]
struct CniError {
    code: u32,
    msg: String,
    #[serde(default)]
    details: String,
}

/// The configuration that the plugin reads from its entry.
pub(super) fn conf(node: &NodeStatus) -> Option<MeshConf> {
    let decoded = MeshConf::decode(node.entry.as_ref()?).ok()?;
    Some(decoded.conf)
}

/// Asks the installed plugin for its STATUS, as a runtime does. None if an ADD would work, or if the
/// plugin cannot be called, which is a problem of its files.
pub(super) fn ask_status(node: &NodeStatus, paths: &NodePaths) -> Option<ShownProblem> {
    let binary = paths.binary();
    if !binary.is_file() {
        return None;
    }
    let mut command = Command::new(&binary);
    command
        .env("CNI_COMMAND", "STATUS")
        .env("CNI_PATH", &paths.bin_dir);
    let request = request(node.entry.as_ref()?, paths);
    let limits = RunLimits::default();
    let ended = match program::run(command, Stdin::Text(&request), limits, || false) {
        Ok(ended) if ended.status.success() => return None,
        Ok(ended) => ended,
        Err(error) => {
            return Some(ShownProblem {
                message: format!(
                    "the plugin's STATUS: {}",
                    error_reporter::Report::new(error)
                ),
                remedy: format!("check that `{}` runs on this node", binary.display()),
            });
        }
    };
    Some(match serde_json::from_slice::<CniError>(&ended.stdout) {
        Ok(CniError { code, msg, details }) => ShownProblem {
            message: format!("the plugin's STATUS, code {code}: {msg}"),
            remedy: details,
        },
        Err(_) => ShownProblem {
            message: format!("the plugin's STATUS ended with {}", ended.status),
            remedy: format!("check that `{}` is mesh-cni", binary.display()),
        },
    })
}

/// The network configuration of a STATUS. The run directory is the one that this program sees.
fn request(entry: &Map<String, Value>, paths: &NodePaths) -> String {
    let mut conf = entry.clone();
    conf.insert("cniVersion".to_owned(), CNI_VERSION.into());
    conf.insert("name".to_owned(), "mesh-cni-status".into());
    let run_dir = paths.run_dir.to_string_lossy();
    conf.insert("cni_agent_run_dir".to_owned(), run_dir.into());
    Value::Object(conf).to_string()
}

impl Plugin {
    pub(super) fn new(node: &NodeStatus, conf: Option<&MeshConf>) -> Self {
        Self {
            installation: match node.installation {
                Installation::Installed => ShownInstallation::Installed,
                Installation::NotInstalled => ShownInstallation::NotInstalled,
                Installation::Partly => ShownInstallation::PartlyInstalled,
            },
            conf: node.conf.as_ref().map(|conf| conf.display().to_string()),
            pod_source: conf.map(|conf| conf.pod_source.to_string()),
        }
    }

    /// What a person reads about it.
    pub(super) fn text(&self) -> String {
        let (style, text) = match self.installation {
            ShownInstallation::Installed => (GOOD, "installed"),
            ShownInstallation::NotInstalled => (BAD, "not installed"),
            ShownInstallation::PartlyInstalled => (BAD, "partly installed"),
        };
        let conf = self.conf.as_ref();
        let conf = conf.map_or_else(String::new, |conf| format!(" in {conf}"));
        format!("{}{conf}", Styled(style, text))
    }
}
