//! Sandboxes made, ended, made again under the same name, and many at a time.

use std::thread;

use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_rules::ruleset::Family;
use mesh_cni_rules::{RuleSet, drift};
use mesh_cni_tests::{SandboxPod, productpage_rules};

use crate::node::{Node, manifest};

#[test]
fn a_sandbox_gets_the_rules_of_its_own_pod_and_never_its_predecessors() {
    let node = Node::start();
    let first = SandboxPod::new("productpage", "0b1f6f3e-0000-4000-8000-000000000001");
    node.write_manifest(&first, &manifest(&first));
    let sandbox = first.start(&node.enclosure).unwrap();
    assert_eq!(difference(&node, &sandbox), None);
    SandboxPod::end(&node.enclosure, &sandbox);

    let second = SandboxPod::new("productpage", "0b1f6f3e-0000-4000-8000-000000000002");
    let refused = second.start(&node.enclosure).unwrap_err();
    assert!(
        refused.contains("is of an earlier pod of that name") && refused.contains(&second.uid),
        "{refused}"
    );
    let unmeshed = manifest(&second).replace("istio-proxy", "assistant");
    node.write_manifest(&second, &unmeshed);
    let sandbox = second.start(&node.enclosure).unwrap();
    assert_eq!(standing(&node, &sandbox).tables.len(), 0);
    SandboxPod::end(&node.enclosure, &sandbox);
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

#[test]
fn two_hundred_sandboxes_in_bursts_all_start_and_all_go() {
    const BURSTS: usize = 4;
    const AT_ONCE: usize = 50;
    let node = Node::start();
    for burst in 0..BURSTS {
        let pods: Vec<_> = (0..AT_ONCE).map(|index| numbered(burst, index)).collect();
        for pod in &pods {
            node.write_manifest(pod, &manifest(pod));
        }
        let started = at_once(&pods, |pod| pod.start(&node.enclosure));
        let sandboxes: Vec<_> = started.into_iter().map(Result::unwrap).collect();
        for sandbox in &sandboxes {
            assert_eq!(difference(&node, sandbox), None);
        }
        at_once(&sandboxes, |sandbox| {
            SandboxPod::end(&node.enclosure, sandbox);
        });
    }
    assert_eq!(node.leased_addresses(), Vec::<String>::new());
}

fn numbered(burst: usize, index: usize) -> SandboxPod {
    let uid = format!("0b1f6f3e-0000-4000-8000-{burst:06}{index:06}");
    SandboxPod::new(&format!("productpage-{burst}-{index}"), &uid)
}

/// Does it for all of them at the same time.
fn at_once<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = things
            .iter()
            .map(|thing| scope.spawn(move || work(thing)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}

/// The first difference between what stands in the sandbox and the documented rules.
fn difference(node: &Node, sandbox: &str) -> Option<String> {
    drift(&productpage_rules(), &standing(node, sandbox)).map(|drift| drift.to_string())
}

fn standing(node: &Node, sandbox: &str) -> RuleSet {
    let netns: NetNs = SandboxPod::netns(&node.enclosure, sandbox);
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    let found = read(&netns, &xtables, BackendChoice::Auto, &[Family::V4]).unwrap();
    found.rule_sets.into_iter().next().unwrap()
}
