//! Sandboxes created, removed, and re-created under the same name.

use mesh_cni_netfilter::drift;
use mesh_cni_rules::istio::OWNERSHIP;
use mesh_cni_tests::{SandboxPod, productpage_rules};

use crate::node::{Node, manifest};

#[test]
fn a_recreated_sandbox_never_gets_the_rules_of_its_predecessor() {
    let node = Node::start();
    let first = SandboxPod::new("productpage", "0b1f6f3e-0000-4000-8000-000000000001");
    node.write_manifest(&first, &manifest(&first));
    let sandbox = first.start(&node.isolated_host).unwrap();
    assert_eq!(difference(&node, &sandbox), None);
    SandboxPod::end(&node.isolated_host, &sandbox);

    let second = SandboxPod::new("productpage", "0b1f6f3e-0000-4000-8000-000000000002");
    let refused = second.start(&node.isolated_host).unwrap_err();
    assert!(
        refused.contains("is for an earlier pod with the same name")
            && refused.contains(&second.uid),
        "{refused}"
    );
    let unmeshed = manifest(&second).replace("istio-proxy", "assistant");
    node.write_manifest(&second, &unmeshed);
    let sandbox = second.start(&node.isolated_host).unwrap();
    assert_eq!(node.live_rules(&sandbox).tables.len(), 0);
    SandboxPod::end(&node.isolated_host, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

/// The first difference between the sandbox's live rules and the documented rules.
pub(crate) fn difference(node: &Node, sandbox: &str) -> Option<String> {
    drift(&productpage_rules(), &node.live_rules(sandbox), &OWNERSHIP)
        .map(|drift| drift.to_string())
}
