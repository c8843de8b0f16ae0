//! Pods request the plugin with an annotation, and Multus calls it as a network of its own.

use serde_json::json;

use crate::node::{Node, pod};

const INSTALL: &str = "install --mode stand-alone --cni-conf-dir /etc/cni/multus/net.d";
const UNINSTALL: &str = "uninstall --grace 0 --cni-conf-dir /etc/cni/multus/net.d";

/// The same pod with the proxy's setting for both families.
fn dual_stack(name: &str, networks: &str) -> serde_json::Value {
    let mut pod = pod(name, networks);
    for container in pod["spec"]["containers"].as_array_mut().unwrap() {
        if container["name"] == "istio-proxy" {
            container["env"] = json!([{"name": "ISTIO_DUAL_STACK", "value": "true"}]);
        }
    }
    pod
}

#[test]
fn pods_request_the_network() {
    let node = Node::start();
    node.agent(INSTALL, 0);
    node.define("default", "mesh-cni", None);
    let requested = node.start_pod("requested", "default/mesh-cni");
    assert!(node.rules(&requested)[0] > 10);
    let without = node.start_pod("without", "");
    assert_eq!(node.rules(&without), [0, 0]);

    // In another namespace, the annotation needs the network's.
    node.api.must("create namespace other");
    let mut elsewhere = pod("elsewhere", "mesh-cni");
    elsewhere["metadata"]["namespace"] = "other".into();
    let error = node.try_start(&elsewhere).err().unwrap();
    assert!(
        error.contains("cannot find a network-attachment-definition"),
        "{error}"
    );
    let mut elsewhere = pod("elsewhere-too", "default/mesh-cni");
    elsewhere["metadata"]["namespace"] = "other".into();
    let elsewhere = node.try_start(&elsewhere).unwrap();
    assert!(node.rules(&elsewhere)[0] > 10);

    // Multus's own cache names the plugin for two running pods.
    let report = node.agent(UNINSTALL, 0);
    assert!(report.contains("2 existing sandboxes need it"), "{report}");
    assert!(node.has_binary());
    for pod in [requested, without, elsewhere] {
        node.end(&pod);
    }
    assert_eq!(node.leases("pod-network"), Vec::<String>::new());
    node.agent(UNINSTALL, 0);
    assert!(!node.has_binary());
}

/// What Istio's injector requests, with the configuration that the chart writes into the network.
#[test]
fn istio_s_name_works_with_an_inline_configuration() {
    let node = Node::start();
    node.agent(INSTALL, 0);
    let entry = json!({
        "type": "mesh-cni", "standalone": true,
        "pod_source": "file", "pod_dir": "/etc/mesh-cni/pods"
    });
    let list = json!({"cniVersion": "1.0.0", "name": "istio-cni", "plugins": [entry]});
    node.define("default", "istio-cni", Some(&list));
    let requested = node.start_pod("requested", "default/istio-cni");
    assert!(node.rules(&requested)[0] > 10);
    node.end(&requested);
}

/// The plugin sees the addresses that exist when it is called, so it is last in the annotation.
#[test]
fn a_second_network_brings_the_first_ipv6_address() {
    let node = Node::start();
    node.agent(INSTALL, 0);
    node.define("default", "mesh-cni", None);
    let six = json!({
        "cniVersion": "1.0.0", "name": "six", "type": "bridge", "bridge": "six0",
        "ipam": {"type": "host-local", "subnet": "fd66::/64"}
    });
    node.define("default", "six", Some(&six));
    let start = |name, networks| node.try_start(&dual_stack(name, networks)).unwrap();
    let last = start("last", "default/six,default/mesh-cni");
    let [four, six] = node.rules(&last);
    assert!(four > 10 && six > 10, "{four} {six}");
    let first = start("first", "default/mesh-cni,default/six");
    let [four, six] = node.rules(&first);
    assert!(four > 10 && six == 0, "{four} {six}");
    node.end(&last);
    node.end(&first);
}

/// Multus reads the files of its directory in name order, up to the requested network.
#[test]
fn a_broken_file_that_sorts_before_ours_stops_pods() {
    let node = Node::start();
    node.define("default", "mesh-cni", None);
    let broken = node.path("/etc/cni/multus/net.d/05-old.conflist");
    std::fs::write(&broken, "{").unwrap();
    let report = node.agent(INSTALL, 0);
    let warning = "pods that request that network do not start";
    assert!(
        report.contains("05-old.conflist") && report.contains(warning),
        "{report}"
    );
    let error = node
        .try_start(&pod("early", "default/mesh-cni"))
        .err()
        .unwrap();
    assert!(error.contains("05-old.conflist"), "{error}");
    // As the warning says.
    std::fs::remove_file(broken).unwrap();
    std::fs::write(node.path("/etc/cni/multus/net.d/ZZZ.conflist"), "{").unwrap();
    assert!(!node.agent(INSTALL, 0).contains(warning));
    let started = node.start_pod("started", "default/mesh-cni");
    assert!(node.rules(&started)[0] > 10);
    node.end(&started);
}

/// With `namespaceIsolation`, a pod of another namespace may use our network only if `default` is global.
#[test]
fn isolated_namespaces_need_default_as_a_global_one() {
    let node = Node::start();
    node.agent(INSTALL, 0);
    node.define("default", "mesh-cni", None);
    node.api.must("create namespace other");
    let start = |name, global| {
        node.write_multus(&json!({
            "namespaceIsolation": true, "globalNamespaces": global,
            "clusterNetwork": "/etc/cni/net.d/10-pod-network.conflist"
        }));
        let mut pod = pod(name, "default/mesh-cni");
        pod["metadata"]["namespace"] = "other".into();
        node.try_start(&pod)
    };
    let error = start("isolated", "kube-system").err().unwrap();
    assert!(error.contains("namespace isolation enabled"), "{error}");
    let allowed = start("allowed", "kube-system,default").unwrap();
    assert!(node.rules(&allowed)[0] > 10);
}
