//! Another cluster, such as kind or k3s: the stages that need only its kubeconfig.
//!
//! They do not access its machines, and remove what they installed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use mesh_cni_tests::Kubectl;
use serde_json::{Value, json};

use crate::test_cluster::{MOST, Requests, name_of};
use crate::verify::{DOCUMENTED, rules_of};
use crate::walkthrough::{Hops, REQUESTS, assert_moved};
use crate::{images, mesh, workload};

/// The sample's namespace, so that one command removes it.
const NAMESPACE: &str = "mesh-cni-test";

/// How many good pages in a row prove that every node knows every service.
const STEADY: u32 = 10;

/// What is available only on our own node.
pub(crate) const LEFT_OUT: &str = "\
left out on a cluster that is not ours: the rules as the node's own iptables lists them, the kinds of \
pod and the bad days, which are looked at from the node";

/// A file in the temporary folder that exists while something of ours is on the cluster.
const MARK: &str = "installed";

/// A stage: its name and its function.
type Stage = (&'static str, fn(&ExternalCluster));

/// The stages, in order.
pub(crate) const STAGES: &[Stage] = &[
    ("the plugin is enabled", ExternalCluster::enable),
    ("bookinfo is rolled out", ExternalCluster::roll_out),
    (
        "requests pass both proxies of each hop",
        ExternalCluster::requests_pass_both_proxies,
    ),
    (
        "each pod has the documented rules",
        ExternalCluster::rules_are_as_documented,
    ),
];

/// The cluster, and the sample in it.
pub(crate) struct ExternalCluster {
    kubectl: Kubectl,
    /// The agent's image there.
    image: String,
}

impl ExternalCluster {
    /// The cluster of this `kubectl`, whose nodes have the agent's image with this name.
    pub(crate) fn new(kubectl: Kubectl, image: &str) -> Self {
        Self {
            kubectl,
            image: image.to_owned(),
        }
    }

    /// The cluster of `KUBECONFIG`, whose nodes have the agent's image with the name `IMAGE`, by default
    /// the name in the manifests. `None` if `KUBECONFIG` is not set.
    pub(crate) fn of_environment(folder: &Path) -> Option<Self> {
        let kubectl = Kubectl::of_environment(folder.join("kubectl"))?;
        let image = env::var("IMAGE").ok().filter(|image| !image.is_empty());
        Some(Self::new(
            kubectl,
            image.as_deref().unwrap_or(images::AGENT),
        ))
    }

    /// Its `kubectl`.
    pub(crate) fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Describes the cluster, as `kubectl` does.
    pub(crate) fn who(&self) -> String {
        let nodes = "get nodes --output=wide";
        let context = self.kubectl.run(["config", "current-context"], "");
        context.stdout + &self.kubectl.must(nodes)
    }

    /// Removes what a process of the stages that has ended left on the cluster.
    pub(crate) fn put_back(folder: &Path) {
        if !folder.join(MARK).exists() {
            return;
        }
        if let Some(foreign) = Self::of_environment(folder) {
            foreign.remove();
        }
    }

    /// Installs the manifests, unless mesh-cni is installed already.
    pub(crate) fn enable(&self) {
        let words = [
            "get",
            "daemonset",
            "mesh-cni-agent",
            "--namespace=kube-system",
        ];
        let there = self.kubectl.run(words, "");
        assert!(
            there.stderr.contains("NotFound"),
            "mesh-cni is installed on this cluster already, or the cluster does not answer: {}{}",
            there.stdout,
            there.stderr
        );
        fs::write(env::temp_dir().join(MARK), "").expect("a file can be written");
        self.kubectl.apply(&self.of_image(mesh::INSTALL));
        self.kubectl.rolled_out(mesh::AGENT, MOST);
    }

    /// Rolls out the sample; its services get addresses of this cluster.
    pub(crate) fn roll_out(&self) {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                // For the pod that runs `verify`.
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
        });
        self.kubectl.apply(&namespace.to_string());
        let (services, others): (Vec<_>, Vec<_>) = sample()
            .into_iter()
            .partition(|object| object["kind"] == "Service");
        self.kubectl.apply(&workload::list(services).to_string());
        let addresses = self.addresses();
        let others = others.into_iter().map(|mut object| {
            readdress(&mut object, &addresses);
            object
        });
        self.kubectl.apply(&workload::list(others).to_string());
        for (name, version, _) in workload::DEPLOYMENTS {
            let deployment = format!("deployment/{name}-{version} --namespace={NAMESPACE}");
            let available = format!("{deployment} --for=condition=Available");
            self.kubectl.wait(&available, MOST);
        }
    }

    /// Like [`crate::walkthrough::requests_pass_both_proxies`], with requests through the API server.
    pub(crate) fn requests_pass_both_proxies(&self) {
        let deadline = Instant::now() + MOST;
        let mut good = 0;
        while good < STEADY {
            good = if self.page().is_ok() { good + 1 } else { 0 };
            assert!(Instant::now() < deadline, "no page: {:?}", self.page());
        }
        let before = self.hops();
        for _ in 0..REQUESTS {
            self.page().unwrap_or_else(|answer| panic!("{answer}"));
        }
        assert_moved(&before, &self.hops());
    }

    /// Runs `mesh-cnictl verify` on the node of each pod of the sample.
    pub(crate) fn rules_are_as_documented(&self) {
        let pods = self.pods();
        let looking = pods.iter().map(looking_at);
        self.kubectl.apply(&workload::list(looking).to_string());
        for pod in &pods {
            let told = self.what_it_told(pod);
            let name = name_of(pod);
            let verdict = format!("as wanted: {NAMESPACE}/{name}: all ");
            assert!(told.contains(&verdict), "{name}: {told}");
            let is_message = |line: &&str| {
                let starts = ["note: ", "warning: "];
                starts.iter().any(|start| line.starts_with(start)) || line.contains("as wanted: ")
            };
            let dump: Vec<_> = told.lines().filter(|line| !is_message(line)).collect();
            assert_eq!(
                rules_of(&dump.join("\n")),
                rules_of(DOCUMENTED),
                "{name}: {told}"
            );
        }
    }

    /// Uninstalls everything as operators do, if it was installed here.
    pub(crate) fn clear(&self) {
        let mark = env::temp_dir().join(MARK);
        if mark.exists() {
            self.remove();
            fs::remove_file(mark).expect("it was written");
        }
    }

    fn remove(&self) {
        self.kubectl.must(&format!(
            "delete namespace {NAMESPACE} --ignore-not-found --wait"
        ));
        self.kubectl.apply(&self.of_image(mesh::UNINSTALL));
        self.kubectl.rolled_out(mesh::AGENT, MOST);
        mesh::delete(&self.kubectl);
    }

    fn of_image(&self, manifest: &str) -> String {
        manifest.replace(images::AGENT, &self.image)
    }

    /// The address of each service.
    fn addresses(&self) -> BTreeMap<String, Value> {
        let found = self
            .kubectl
            .get(&format!("services --namespace={NAMESPACE}"));
        let services = found["items"].as_array().into_iter().flatten();
        services
            .map(|service| {
                (
                    name_of(service).to_owned(),
                    service["spec"]["clusterIP"].clone(),
                )
            })
            .collect()
    }

    fn pods(&self) -> Vec<Value> {
        let found = self.kubectl.get(&format!(
            "pods --namespace={NAMESPACE} --selector=app,version"
        ));
        found["items"].as_array().cloned().unwrap_or_default()
    }

    /// The answer of productpage, or the error.
    fn page(&self) -> Result<String, String> {
        let page = self.ask("services/http:productpage:9080/proxy/");
        let is_whole = |page: &String| page.starts_with("productpage v1\ndetails v1\nreviews v");
        page.and_then(|page| if is_whole(&page) { Ok(page) } else { Err(page) })
    }

    fn hops(&self) -> Hops {
        let pods = self.pods();
        let counted = pods.iter().map(|pod| {
            let path = format!("pods/{}:15090/proxy/stats?format=json", name_of(pod));
            let stats = self.ask(&path).unwrap_or_else(|error| panic!("{error}"));
            (workload::version_of(pod), Requests::read(&stats))
        });
        counted.collect()
    }

    /// Sends a request through the API server's proxy.
    fn ask(&self, path: &str) -> Result<String, String> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/{path}");
        let answer = self.kubectl.run(["get", "--raw", &path], "");
        match answer.code {
            0 => Ok(answer.stdout),
            _ => Err(answer.stderr),
        }
    }

    /// The output of the command for that pod, run in a pod on the same node.
    fn what_it_told(&self, pod: &Value) -> String {
        let looking = format!("verify-{} --namespace={NAMESPACE}", name_of(pod));
        let name = format!("pod {looking}");
        self.kubectl.watch_until(&name, MOST, |pod| {
            let phase = pod["status"]["phase"].as_str();
            matches!(phase, Some("Succeeded" | "Failed")).then_some(())
        });
        self.kubectl.must(&format!("logs {looking}"))
    }
}

/// The sample's objects without those that only our own node needs.
fn sample() -> Vec<Value> {
    let mut sample = workload::bookinfo();
    let objects = sample["items"].as_array_mut().map(std::mem::take);
    let mut objects = objects.unwrap_or_default();
    for object in &mut objects {
        object["metadata"]["namespace"] = NAMESPACE.into();
        if object["kind"] == "Service" {
            let ports = object["spec"]["ports"].clone();
            let selector = object["spec"]["selector"].clone();
            object["spec"] = json!({"selector": selector, "ports": ports});
            if let Some(port) = object["spec"]["ports"][0].as_object_mut() {
                port.remove("nodePort");
            }
        }
    }
    objects
}

/// Host entries for the services' addresses.
fn readdress(object: &mut Value, addresses: &BTreeMap<String, Value>) {
    let aliases = object.pointer_mut("/spec/template/spec/hostAliases");
    for alias in aliases.and_then(Value::as_array_mut).into_iter().flatten() {
        let name = alias["hostnames"][0].as_str().unwrap_or_default();
        alias["ip"] = addresses[name].clone();
    }
}

/// A pod with access to the node's processes, configuration and agent socket.
fn looking_at(pod: &Value) -> Value {
    let name = name_of(pod);
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": true});
    let volume = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path}});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": format!("verify-{name}")},
        "spec": {
            "nodeName": pod["spec"]["nodeName"],
            "hostPID": true,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "verify",
                "image": images::INIT,
                "imagePullPolicy": "Never",
                "command": ["/bin/mesh-cnictl", "verify", "--pod", format!("{NAMESPACE}/{name}")],
                "securityContext": {"privileged": true},
                "volumeMounts": [
                    mount("lists", "/etc/cni/net.d"), mount("agent", "/run/mesh-cni")
                ],
            }],
            "volumes": [volume("lists", "/etc/cni/net.d"), volume("agent", "/run/mesh-cni")],
        },
    })
}
