//! The flags for the fields of the plugin's entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::failure::Failure;

#[derive(Args)]
#[command(next_help_heading = "The plugin's entry (fields without a flag are not written)")]
pub(super) struct EntryFlags {
    /// debug, info, warn or error
    #[arg(long, env = "PLUGIN_LOG_LEVEL", value_name = "LEVEL")]
    plugin_log_level: Option<String>,
    /// Namespaces whose pods are skipped; `*` and `?` are wildcards
    #[arg(
        long,
        env = "EXCLUDE_NAMESPACES",
        value_name = "A,B",
        value_delimiter = ','
    )]
    exclude_namespaces: Option<Vec<String>>,
    /// Pods of all other namespaces are skipped
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    include_namespaces: Option<Vec<String>>,
    /// The meshes to serve: asm or istio, linkerd, kuma. asm and istio set selection and rule set
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    profile: Option<Vec<String>>,
    /// Which pods are redirected: asm, asm-literal or istio
    #[arg(long, value_name = "NAME")]
    selection: Option<String>,
    /// Which rules a pod gets: asm or istio
    #[arg(long, value_name = "NAME")]
    ruleset: Option<String>,
    /// IPv6 traffic of pods without IPv6 rules: as-mesh, reject or redirect
    #[arg(long, value_name = "NAME")]
    ipv6: Option<String>,
    /// How rules are applied: auto, netlink, nft-native, iptables-nft or iptables-legacy
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Where the plugin gets facts about a pod: auto, agent, api, file or runtime
    #[arg(long, value_name = "NAME")]
    pod_source: Option<String>,
    /// The directory of pod source `file`, as the host sees it
    #[arg(long, value_name = "DIR")]
    pod_dir: Option<String>,
    /// A kubeconfig for pod source `api`, as the host sees it [default: the agent writes one into its
    /// run directory]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// The directory of the agent's socket and the plugin's log, as the host sees it
    #[arg(long, env = "CNI_AGENT_RUN_DIR", value_name = "DIR")]
    cni_agent_run_dir: Option<String>,
    /// The namespace of the agent
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pod_namespace: Option<String>,
    /// A file with more fields as a JSON object, or `-` for stdin; flags override its fields
    #[arg(long, value_name = "FILE|-")]
    conf_entry: Option<PathBuf>,
}

impl EntryFlags {
    /// The fields. Charts set a variable to an empty string for no value or an empty list.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Failure> {
        let file = self.conf_entry.as_deref();
        let mut fields = file.map_or_else(|| Ok(Map::new()), read_entry)?;
        let list = |flag: &Option<Vec<String>>| {
            let mut names = flag.clone()?;
            names.retain(|name| !name.is_empty());
            Some(Value::from(names))
        };
        let text = |flag: &Option<String>| {
            flag.clone()
                .filter(|text| !text.is_empty())
                .map(Value::from)
        };
        let profile = match self.profile.as_deref() {
            Some([only]) => text(&Some(only.clone())),
            _ => list(&self.profile),
        };
        for (field, value) in [
            ("plugin_log_level", text(&self.plugin_log_level)),
            ("exclude_namespaces", list(&self.exclude_namespaces)),
            ("include_namespaces", list(&self.include_namespaces)),
            ("profile", profile),
            ("selection", text(&self.selection)),
            ("ruleset", text(&self.ruleset)),
            ("ipv6", text(&self.ipv6)),
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
    let remedy = "set --conf-entry to a readable file with a JSON object, or to `-` for stdin";
    let text = if file.as_os_str() == "-" {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::bad_file(file, &error, remedy))?;
    serde_json::from_str(&text).map_err(|error| Failure::bad_file(file, &error, remedy))
}
