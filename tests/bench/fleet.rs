//! What a fleet of agents costs a real API server: all start at once, an hour of new and deleted pods
//! in a short time, and a restart of the API server. Beside it the same for plugins that ask the API
//! server in each ADD, and for lists in pages.
//!
//! `NODES` agents run, one process for each node, `PODS` pods exist, and `ADDS` pods are created and
//! deleted. Prints measurements, and asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::panic, reason = "a failure ends the benchmark")]

#[path = "fleet/agents.rs"]
mod agents;
#[path = "fleet/load.rs"]
mod load;
#[path = "fleet/meter.rs"]
mod meter;
mod process_figures;

use std::thread;
use std::time::Duration;

use mesh_cni_kube::list::ListSource;
use mesh_cni_tests::{KubeApi, MANIFESTS};

use agents::Agents;
use load::Load;
use meter::Meter;

/// How long the API server is measured when nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// The size of a page of a list.
const PAGE_SIZE: u32 = 50;

fn main() {
    let (nodes, pods, adds) = (size("NODES", 20), size("PODS", 600), size("ADDS", 60));
    let mut api = KubeApi::start();
    api.apply(MANIFESTS);
    // Plugins that ask the API server read namespaces too.
    let account = "--clusterrole=cluster-admin --serviceaccount=kube-system:mesh-cni";
    api.must(&format!("create clusterrolebinding bench {account}"));
    let kubeconfig = api.kubeconfig_of("kube-system", "mesh-cni");
    let load = Load::new(&api.kubeconfig(), &kubeconfig, nodes);
    load.create_pods(pods);
    println!("{nodes} nodes, {pods} pods, {adds} ADDs; CPU without that of an idle API server\n");
    let mut meter = Meter::new();
    let settled = || thread::sleep(IDLE);
    meter.measure_idle(&api, settled);
    meter.row(&api, "idle, without agents", settled);
    let list = |source: &ListSource| load.list_on_each_node(source);
    meter.row(&api, "a list of each node in pages", || {
        list(&ListSource::Pages(PAGE_SIZE));
    });
    meter.row(&api, "a list of each node from the cache", || {
        list(&ListSource::any_version());
    });
    meter.row(&api, "one GET for each ADD", || load.get(adds, false));
    meter.row(&api, "two GETs for each ADD", || load.get(adds, true));
    meter.row(&api, "pods come and go, without agents", || {
        load.churn(adds);
    });
    restart(&meter, &mut api, None);
    meter.measure_idle(&api, settled);

    let agents = Agents::new(nodes);
    meter.row(&api, "all agents start", || agents.start(&kubeconfig));
    meter.row(&api, "idle, with agents", settled);
    meter.row(&api, "pods come and go, with agents", || {
        load.churn(adds);
    });
    restart(&meter, &mut api, Some(&agents));
}

fn restart(meter: &Meter, api: &mut KubeApi, agents: Option<&Agents>) {
    let before = agents.map(Agents::watches);
    let requests = meter::requests(api);
    api.stop_server();
    api.start_server();
    let name = match agents {
        Some(_) => "the API server restarts, with agents",
        None => "the API server restarts, without",
    };
    meter.row_of_new_server(api, name, requests, || {
        if let (Some(agents), Some(before)) = (agents, before) {
            agents.wait_for_watches(&before);
        } else {
            thread::sleep(IDLE);
        }
    });
}

fn size(name: &str, default: usize) -> usize {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|error| panic!("{name}=`{text}`: {error}"))
}
