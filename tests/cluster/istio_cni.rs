//! A substitute for Istio CNI on the test cluster: a node agent that keeps its entry and its binary on the
//! node, and a plugin that writes the rules of every pod.
//!
//! ```text
//! istio-cni LIST BIN_DIR RUN_DIR   the agent; on SIGTERM it uninstalls itself, unless RUN_DIR/retain exists
//! CNI_COMMAND=ADD istio-cni        the plugin; it needs the agent's kubeconfig, as Istio's does
//! ```

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a plugin answers on its standard output"
)]

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mesh_cni_netns::{BackendChoice, NetNs, Xtables, apply};
use mesh_cni_rules::Mesh;
use mesh_cni_tests::{IstioCni, productpage_rules};
use serde_json::{Value, json};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How often the agent looks at the list. Istio's agent reacts to changes within a second.
const INTERVAL: Duration = Duration::from_millis(200);

/// The plugin's files on the node.
const RUN_DIR: &str = "/run/istio-cni";

/// Namespaces whose pods are not redirected.
const EXCLUDED: [&str; 2] = ["istio-system", "kube-system"];

fn main() -> ExitCode {
    let Ok(command) = env::var("CNI_COMMAND") else {
        let paths: Vec<_> = env::args_os().skip(1).map(PathBuf::from).collect();
        let [list, bin_dir, run_dir] = &paths[..] else {
            return ExitCode::from(2);
        };
        run(&IstioCni::of(list.clone(), bin_dir), run_dir);
        return ExitCode::SUCCESS;
    };
    let done = match command.as_str() {
        "ADD" => add(),
        "VERSION" => Ok(json!({"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]})),
        _ => return ExitCode::SUCCESS,
    };
    let failed = |why: String| json!({"cniVersion": "1.0.0", "code": 999, "msg": why});
    let exit_code = ExitCode::from(u8::from(done.is_err()));
    println!("{}", done.unwrap_or_else(failed));
    exit_code
}

fn run(istio: &IstioCni, run_dir: &Path) {
    let mut signals = Signals::new([SIGTERM]).expect("signals can be handled");
    let kubeconfig = run_dir.join("kubeconfig");
    fs::write(&kubeconfig, "").expect("the directory is mounted");
    let own = env::current_exe().expect("a running program has a path");
    while signals.pending().next().is_none() {
        if !istio.is_installed() {
            istio.install(&own);
        }
        thread::sleep(INTERVAL);
    }
    if !run_dir.join("retain").exists() {
        istio.uninstall();
        fs::remove_file(kubeconfig).expect("it was written");
    }
}

/// Writes the rules of the pod, and its name to the file `calls`.
fn add() -> Result<Value, String> {
    let conf: Value = serde_json::from_reader(io::stdin()).map_err(|error| error.to_string())?;
    let arguments = env::var("CNI_ARGS").unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = arguments.split(';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find_map(|(key, value)| (key == name).then_some(value));
        found.unwrap_or_default()
    };
    let namespace = value("K8S_POD_NAMESPACE");
    if !EXCLUDED.contains(&namespace) {
        if !Path::new(RUN_DIR).join("kubeconfig").exists() {
            return Err("istio-cni has no kubeconfig".to_owned());
        }
        redirect().map_err(|error| error.to_string())?;
        File::options()
            .append(true)
            .create(true)
            .open(Path::new(RUN_DIR).join("calls"))
            .and_then(|mut calls| writeln!(calls, "{namespace}/{}", value("K8S_POD_NAME")))
            .map_err(|error| error.to_string())?;
    }
    Ok(conf["prevResult"].clone())
}

fn redirect() -> Result<(), Box<dyn std::error::Error>> {
    let netns = NetNs::open(Path::new(&env::var("CNI_NETNS")?))?;
    let xtables = Xtables::search(env::var_os("PATH").as_deref());
    apply(
        &netns,
        &xtables,
        BackendChoice::Auto,
        Mesh::Istio,
        &[productpage_rules()],
    )?;
    Ok(())
}
