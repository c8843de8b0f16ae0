//! Tenants that want the agent to write their pod's rules into another network namespace, or to read
//! them there: repair changes nothing, and the page shows nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use mesh_cni_netfilter::Family;
use mesh_cni_netns::{BackendChoice, NetNs, Xtables, read};
use mesh_cni_tests::must;
use serde_json::{Value, json};

use crate::broken_pod::{ADDRESSES, BrokenPod, create, failing, meshed, running, set_status};
use crate::cluster::{Cluster, NODE};
use crate::control_group::ControlGroup;

const DEBUG: &[&str] = &["--plugin-log-level", "debug"];

const REPAIRED: &str = r#"mesh_cni_repairs_total{type="repair",result="success"} 1"#;

/// A process that a user of the pod started, in a network namespace that this user created and gave
/// the pod's address.
struct Unshared {
    process: Child,
    netns: NetNs,
    _group: ControlGroup,
}

impl Unshared {
    /// Starts it as an unprivileged user of the node.
    fn start(uid: &str) -> Self {
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        Self::start_with(uid, Command::new("setpriv").args(user))
    }

    /// Starts it in the user namespace of the pod.
    fn start_in(pod: &BrokenPod) -> Self {
        let target = format!("--target={}", pod.pid());
        let enter = ["--user", "--net", &target];
        Self::start_with(&pod.uid, Command::new("nsenter").args(enter))
    }

    fn start_with(uid: &str, command: &mut Command) -> Self {
        let script = format!(
            "ip link add eth0 type bridge && ip address add {}/32 dev eth0 && echo ready && \
             exec cat >/dev/null",
            ADDRESSES[0]
        );
        let mut process = command
            .args(["unshare", "-Urn", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let path = format!("/proc/{}/ns/net", process.id());
        Self {
            netns: NetNs::open(path.as_ref()).unwrap(),
            _group: ControlGroup::of(process.id(), &[&format!("pod{uid}"), "sandbox"]),
            process,
        }
    }

    fn has_no_rules(&self) -> bool {
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        let found = read(&self.netns, &xtables, BackendChoice::Auto, &Family::ALL);
        let mut rules = found.unwrap().rule_sets.into_iter();
        rules.all(|rules| rules.tables.is_empty())
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _status = self.process.wait();
    }
}

#[test]
fn the_namespace_of_the_sandbox_is_repaired_and_not_one_that_a_user_created() {
    let mut cluster = Cluster::new(&[]);
    let manifest = meshed("cart");
    let uid = create(&cluster.api, &manifest);
    // Its process has a lower ID than the sandbox's.
    let unshared = Unshared::start(&uid);
    let cart = BrokenPod::of(manifest, uid);
    set_status(&cluster.api, "cart", &running());
    cluster.start_agent(DEBUG);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(cart.difference(), None);
    assert!(unshared.has_no_rules());
}

#[test]
fn a_namespace_that_a_user_created_is_not_repaired_without_the_sandbox() {
    let mut cluster = Cluster::new(&[]);
    let uid = create(&cluster.api, &meshed("cart"));
    let unshared = Unshared::start(&uid);
    set_status(&cluster.api, "cart", &failing(1));
    cluster.start_agent(DEBUG);
    let why = "in a network namespace that the pod itself created";
    cluster.wait_for_log(&["pod=\"cart\"", why]);
    let page = cluster.page("/pods/default/cart");
    assert!(page.contains(why), "{page}");
    assert!(unshared.has_no_rules());
}

#[test]
fn a_pod_in_a_user_namespace_is_repaired_in_its_sandbox() {
    let mut cluster = Cluster::new(&[]);
    let mut manifest = meshed("cart");
    manifest["spec"]["hostUsers"] = json!(false);
    let cart = BrokenPod::create_from(&cluster.api, manifest);
    let unshared = Unshared::start_in(&cart);
    cluster.start_agent(DEBUG);
    cluster.wait_for_metric(REPAIRED);
    assert_eq!(cart.difference(), None);
    assert!(unshared.has_no_rules());
}

/// A pod that claims to be the mirror of the static pod with that UID.
fn claiming(uid: &str) -> Value {
    let mut manifest = meshed("attacker");
    for key in ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"] {
        manifest["metadata"]["annotations"][key] = json!(uid);
    }
    manifest["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "Node", "name": NODE,
        "uid": "7b0d3f4e-1111-4222-8333-944455566677",
    }]);
    manifest
}

#[test]
fn a_pod_that_claims_the_uid_of_another_gets_no_access_to_its_namespace() {
    for is_mirror in [false, true] {
        let mut cluster = Cluster::new(&[]);
        let mut manifest = meshed("victim");
        manifest["spec"]["containers"] = json!([{"name": "app", "image": "none"}]);
        let victim = BrokenPod::create_from(&cluster.api, manifest);
        must(&victim.netns, "sysctl -q net.ipv4.ip_nonlocal_bind=1");
        must(&victim.netns, "iptables-nft -t nat -N VICTIMS");
        let mut attacker = claiming(&victim.uid);
        if !is_mirror {
            let annotations = attacker["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.remove("kubernetes.io/config.mirror");
        }
        create(&cluster.api, &attacker);
        let mut status = failing(1);
        status["podIP"] = json!("10.99.9.9");
        status["podIPs"] = json!([{"ip": "10.99.9.9"}]);
        set_status(&cluster.api, "attacker", &status);
        cluster.start_agent(DEBUG);
        cluster.wait_for_log(&["pod=\"attacker\"", "no process of the pod is visible"]);
        cluster.wait_for_log(&["pod=\"victim\"", "none of the pod's containers"]);
        assert!(victim.has_no_rules());
        let page = cluster.page("/pods/default/attacker");
        assert!(page.contains("No process of the pod is visible"), "{page}");
        assert!(!page.contains("VICTIMS"), "{page}");
        let found = cluster.page(&format!("/v1/pods?uid={}", victim.uid));
        assert!(found.contains(r#""name":"victim""#), "{found}");
    }
}

#[test]
fn an_address_that_can_only_be_bound_is_not_in_the_namespace() {
    let mut cluster = Cluster::new(&[]);
    let cart = BrokenPod::create(&cluster.api, "cart");
    must(&cart.netns, "sysctl -q net.ipv4.ip_nonlocal_bind=1");
    must(&cart.netns, "ip address add 10.99.9.8/32 dev lo");
    for ip in ["10.99.9.9", "10.99.9.8"] {
        let mut status = failing(1);
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{"ip": ip}]);
        set_status(&cluster.api, "cart", &status);
        cluster.start_agent(DEBUG);
        let why = format!("none of the pod's addresses is in the namespace of its process: {ip}");
        cluster.wait_for_log(&["pod=\"cart\"", &why]);
        let page = cluster.page("/pods/default/cart");
        assert!(page.contains(&ip.to_owned()), "{page}");
        assert!(cart.has_no_rules());
    }
}
