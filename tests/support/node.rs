//! A whole Kubernetes node in an enclosure: store, API server, controllers, scheduler, container
//! runtime, kubelet and kube-proxy.

mod parts;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::kube::{authority, kubeconfig, private_file, random_token, server::Serving};
use crate::kube::{start_etcd, start_server};
use crate::{Containerd, Enclosure, Kubectl, Place, Process};

/// How long a part may take on a machine that is slow, cold and busy.
const MOST: Duration = Duration::from_secs(600);

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Who talks to the API server, and in which group.
const USERS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("kubelet", "system:node:node", "system:nodes"),
    ("kube-proxy", "system:kube-proxy", ""),
];

/// The node, called `node`; it ends with this value, and nothing of it stays.
#[derive(Debug)]
pub struct Node {
    running: Option<Running>,
    directory: TempDir,
}

/// What runs between two boots. Dropped in this order: who asks goes before who answers.
#[derive(Debug)]
struct Running {
    kube_proxy: Process,
    kubelet: Option<Process>,
    _scheduler: Process,
    _controllers: Process,
    _server: Process,
    _etcd: Process,
    containerd: Option<Containerd>,
    enclosure: Arc<Enclosure>,
}

impl Node {
    /// Starts all of it with that network configuration list, and waits until the node is ready.
    pub fn start(list: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let names = [
            "127.0.0.1",
            "10.99.0.1",
            "10.96.0.1",
            "kubernetes",
            "kubernetes.default.svc",
        ];
        authority::make_in(directory.path(), &names);
        let mut node = Self {
            running: None,
            directory,
        };
        node.make_users();
        node.boot(Some(list));
        node
    }

    /// The enclosure in which it runs.
    pub fn enclosure(&self) -> &Enclosure {
        &self.running().enclosure
    }

    /// `kubectl` of an administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.place(), self.path("admin.kubeconfig"))
    }

    /// Where its parts keep their files, logs among them.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills kubelet and starts it again; pods run on meanwhile.
    pub fn restart_kubelet(&mut self) {
        let place = self.place();
        let running = self.running_mut();
        drop(running.kubelet.take());
        let kubelet = parts::kubelet(&place, self.directory.path());
        self.running_mut().kubelet = Some(kubelet);
    }

    /// Kills containerd and starts it again; containers run on meanwhile.
    pub fn restart_containerd(&mut self) {
        let running = self.running_mut();
        drop(running.containerd.take());
        let containerd = Containerd::start(&running.enclosure.clone(), self.directory.path());
        self.running_mut().containerd = Some(containerd);
    }

    /// Ends everything at once, as a power cut does, and boots with the disk that is there.
    pub fn reboot(&mut self) {
        drop(self.running.take());
        self.boot(None);
    }

    fn boot(&mut self, list: Option<&str>) {
        let directory = self.directory.path();
        let enclosure = Arc::new(Enclosure::start(directory));
        let place = Place::Enclosure(Arc::clone(&enclosure));
        if let Some(list) = list {
            let lists = enclosure.path("/etc/cni/net.d");
            fs::create_dir_all(&lists).expect("the enclosure's /etc can be written");
            fs::write(lists.join("10-node.conflist"), list).expect("a list can be written");
        }
        let containerd = Containerd::start(&enclosure, directory);
        let etcd = start_etcd(&place, directory);
        let admin = Kubectl::new(place.clone(), self.path("admin.kubeconfig"));
        let serving = Serving {
            bind: "0.0.0.0",
            port: 6443,
            advertised: Some("10.99.0.1"),
        };
        let server = start_server(&admin, &place, directory, &serving);
        self.running = Some(Running {
            kubelet: Some(parts::kubelet(&place, directory)),
            kube_proxy: parts::kube_proxy(&place, directory),
            _scheduler: parts::scheduler(&place, directory),
            _controllers: parts::controllers(&place, directory),
            _server: server,
            _etcd: etcd,
            containerd: Some(containerd),
            enclosure,
        });
        self.wait_ready();
    }

    /// Waits until the node is ready, pods can be made, and services lead to them.
    fn wait_ready(&mut self) {
        let netns = self.enclosure().own_netns();
        let kubectl = self.kubectl();
        kubectl.wait("node/node --for=create", MOST);
        kubectl.wait("node/node --for=condition=Ready", MOST);
        kubectl.wait("serviceaccount/default --for=create", MOST);
        let proxy = &mut self.running_mut().kube_proxy;
        proxy.wait_for("has not made the services' rules", MOST, || {
            let healthy = netns.run(parts::is_kube_proxy_healthy);
            healthy.is_ok_and(|healthy| healthy).then_some(())
        });
    }

    /// Waits until a service leads from the node to a pod: pods are ready before kube-proxy has
    /// heard of it.
    pub fn wait_for_service(&mut self, address: SocketAddr) {
        let netns = self.enclosure().own_netns();
        let proxy = &mut self.running_mut().kube_proxy;
        proxy.wait_for("leads nobody to the service", MOST, || {
            let connected = netns.run(|| TcpStream::connect_timeout(&address, CONNECT));
            connected.is_ok_and(|stream| stream.is_ok()).then_some(())
        });
    }

    fn make_users(&self) {
        let mut tokens = String::new();
        for (name, user, group) in USERS {
            let token = random_token();
            tokens += &[&token, ",", user, ",", user, ",", group, "\n"].concat();
            let text = kubeconfig("https://127.0.0.1:6443", &self.path("ca.crt"), &token);
            private_file(&self.path(&format!("{name}.kubeconfig")), &text);
        }
        private_file(&self.path("tokens.csv"), &tokens);
    }

    fn place(&self) -> Place {
        Place::Enclosure(Arc::clone(&self.running().enclosure))
    }

    fn running_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("the node runs")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the node runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
