//! The flags that become fields of the plugin's entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::report::Failure;

#[derive(Args)]
#[command(next_help_heading = "The plugin's entry (only what is given is written)")]
pub(super) struct EntryFlags {
    /// debug, info, warn or error
    #[arg(long, env = "PLUGIN_LOG_LEVEL", value_name = "LEVEL")]
    plugin_log_level: Option<String>,
    /// Namespaces whose pods are left alone; `*` and `?` are wildcards
    #[arg(
        long,
        env = "EXCLUDE_NAMESPACES",
        value_name = "A,B",
        value_delimiter = ','
    )]
    exclude_namespaces: Option<Vec<String>>,
    /// The only namespaces whose pods are looked at
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    include_namespaces: Option<Vec<String>>,
    /// Selection and rule set at once: asm or istio
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Which pods: asm, asm-literal or istio
    #[arg(long, value_name = "NAME")]
    selection: Option<String>,
    /// Which rules: asm or istio
    #[arg(long, value_name = "NAME")]
    ruleset: Option<String>,
    /// auto, netlink, nft-native, iptables-nft or iptables-legacy
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Where facts about a pod come from: auto, agent, api, file or runtime
    #[arg(long, value_name = "NAME")]
    pod_source: Option<String>,
    /// The directory of pod source `file`, as the host sees it
    #[arg(long, value_name = "DIR")]
    pod_dir: Option<String>,
    /// A kubeconfig of your own for pod source `api`, as the host sees it; without it, the agent
    /// writes one into its run directory
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// The directory of the agent's socket and the plugin's log, as the host sees it
    #[arg(long, env = "CNI_AGENT_RUN_DIR", value_name = "DIR")]
    cni_agent_run_dir: Option<String>,
    /// The agent's own namespace
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pod_namespace: Option<String>,
    /// Further fields, as a JSON object in a file or, with `-`, on stdin; flags win over them
    #[arg(long, value_name = "FILE|-")]
    conf_entry: Option<PathBuf>,
}

impl EntryFlags {
    /// Charts set a variable to nothing where they mean no value, and an empty list.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Failure> {
        let file = self.conf_entry.as_deref();
        let mut fields = file.map_or_else(|| Ok(Map::new()), read_entry)?;
        let names = |given: &Option<Vec<String>>| {
            let mut given = given.clone()?;
            given.retain(|name| !name.is_empty());
            Some(Value::from(given))
        };
        let text = |given: &Option<String>| {
            let given = given.clone().filter(|text| !text.is_empty());
            given.map(Value::from)
        };
        for (field, value) in [
            ("plugin_log_level", text(&self.plugin_log_level)),
            ("exclude_namespaces", names(&self.exclude_namespaces)),
            ("include_namespaces", names(&self.include_namespaces)),
            ("profile", text(&self.profile)),
            ("selection", text(&self.selection)),
            ("ruleset", text(&self.ruleset)),
            ("backend", text(&self.backend)),
            ("pod_source", text(&self.pod_source)),
            ("pod_dir", text(&self.pod_dir)),
            ("kubeconfig", text(&self.kubeconfig)),
            ("cni_agent_run_dir", text(&self.cni_agent_run_dir)),
            ("pod_namespace", text(&self.pod_namespace)),
        ] {
            fields.extend(value.map(|value| (field.to_owned(), value)));
        }
        Ok(fields)
    }
}

fn read_entry(file: &Path) -> Result<Map<String, Value>, Failure> {
    let remedy = "give --conf-entry a readable file with a JSON object, or `-` for stdin";
    let text = if file.as_os_str() == "-" {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::bad_file(file, &error, remedy))?;
    serde_json::from_str(&text).map_err(|error| Failure::bad_file(file, &error, remedy))
}
