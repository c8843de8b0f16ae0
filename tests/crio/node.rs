//! A node with CRI-O.

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{
    Crio, Finished, PRODUCTPAGE, PRODUCTPAGE_NAME, PRODUCTPAGE_UID, RuntimeNode, SandboxPod,
    crictl, finish, mesh_cni, mesh_cni_agent, productpage_rules,
};
use serde_json::Value;

pub(crate) type Node = RuntimeNode<Crio>;

/// The list that the node's runtime loads.
pub(crate) const LIST: &str = "/etc/cni/net.d/10-pod-network.conflist";

/// A pod with the sidecar of the documented pod, and its manifest on the node.
pub(crate) fn with_manifest(node: &Node, name: &str) -> SandboxPod {
    let pod = SandboxPod::new(name, &uid(name));
    let manifest = PRODUCTPAGE
        .replace(PRODUCTPAGE_NAME, &pod.name)
        .replace(PRODUCTPAGE_UID, &pod.uid);
    node.write_manifest(&pod, &manifest);
    pod
}

/// A UID that differs for names of other lengths.
fn uid(name: &str) -> String {
    format!("0b1f6f3e-0000-4000-8000-0000000000{:02}", name.len())
}

/// The first difference between the sandbox's live rules and the documented rules.
pub(crate) fn difference(node: &Node, sandbox: &str) -> Option<String> {
    let live = node.live_rules(sandbox);
    drift(&productpage_rules(), &live, &OWNERSHIP).map(|drift| drift.to_string())
}

/// Whether the sandbox has no rules at all.
pub(crate) fn has_no_rules(node: &Node, sandbox: &str) -> bool {
    node.live_rules(sandbox).tables.is_empty()
}

/// The sandbox's address, as the runtime reports it to a kubelet; empty if it reports none.
pub(crate) fn address(node: &Node, sandbox: &str) -> String {
    let found = crictl(
        &node.isolated_host,
        &["inspectp", "--output", "json", sandbox],
    );
    let found: Value = found.stdout.parse().unwrap();
    let address = found["status"]["network"]["ip"].as_str();
    address.unwrap_or_default().to_owned()
}

/// Runs the agent in the node's namespaces; `words` begin with its command.
pub(crate) fn agent(node: &Node, words: &[&str]) -> Finished {
    let mut command = node.isolated_host.command(mesh_cni_agent());
    command.args(words);
    if words[0] != "uninstall" {
        command.arg("--plugin-binary").arg(mesh_cni());
    }
    finish(&mut command, "")
}

/// Waits until CRI-O has loaded its lists after the next event, which `change` causes.
pub(crate) fn reloaded<T>(node: &mut Node, change: impl FnOnce(&Node) -> T) -> T {
    let before = Crio::log(node.state()).len();
    let result = change(node);
    let state = node.state().to_owned();
    node.runtime
        .wait_for("has not loaded the lists again", &state, |log| {
            let (_, after) = log[before..].rsplit_once("CNI monitoring event WRITE")?;
            // The last file by name.
            after
                .contains("Found CNI network pod-network")
                .then_some(())
        });
    result
}
