//! A Kubernetes node in an isolated host: etcd, API server, controllers, scheduler, container runtime,
//! kubelet and kube-proxy.

mod parts;

use std::fmt::Debug;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::kube::{authority, kubeconfig, private_file, random_token, server::Serving};
use crate::kube::{start_etcd, start_server};
use crate::{Containerd, Crio, Host, IsolatedHost, Kubectl, Process};

/// The timeout for every wait; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The timeout of one connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Clients of the API server: kubeconfig, user, and group.
const USERS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("kubelet", "system:node:node", "system:nodes"),
    ("kube-proxy", "system:kube-proxy", ""),
];

/// The container runtime of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRuntime {
    /// containerd.
    Containerd,
    /// CRI-O.
    Crio,
}

impl NodeRuntime {
    /// Starts it; dropping the value stops it.
    fn start(self, isolated_host: &IsolatedHost, state: &Path) -> Box<dyn Debug> {
        match self {
            Self::Containerd => Box::new(Containerd::start(isolated_host, state)),
            Self::Crio => Box::new(Crio::start(isolated_host, state)),
        }
    }

    fn socket(self) -> &'static str {
        match self {
            Self::Containerd => Containerd::SOCKET,
            Self::Crio => Crio::SOCKET,
        }
    }
}

/// A node named `node`. Dropping the value stops it and removes its files.
#[derive(Debug)]
pub struct Node {
    running: Option<Running>,
    runtime: NodeRuntime,
    directory: TempDir,
}

/// The processes between two boots. Dropped in this order: clients before servers.
#[derive(Debug)]
struct Running {
    kube_proxy: Process,
    kubelet: Option<Process>,
    _scheduler: Process,
    _controllers: Process,
    _server: Process,
    _etcd: Process,
    runtime: Option<Box<dyn Debug>>,
    isolated_host: Arc<IsolatedHost>,
}

impl Node {
    /// Starts the node with a network configuration list, and waits until it is ready.
    pub fn start(runtime: NodeRuntime, list: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let names = [
            "127.0.0.1",
            "10.99.0.1",
            "10.96.0.1",
            "kubernetes",
            "kubernetes.default.svc",
        ];
        authority::create_in(directory.path(), &names);
        let mut node = Self {
            running: None,
            runtime,
            directory,
        };
        node.create_users();
        node.boot(Some(list));
        node
    }

    /// Its isolated host.
    pub fn isolated_host(&self) -> &IsolatedHost {
        &self.running().isolated_host
    }

    /// `kubectl` of an administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.host(), self.path("admin.kubeconfig"))
    }

    /// The directory with the files and logs of its components.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills kubelet and starts it again; pods keep running.
    pub fn restart_kubelet(&mut self) {
        let host = self.host();
        let running = self.running_mut();
        drop(running.kubelet.take());
        let kubelet = parts::kubelet(&host, self.directory.path(), self.runtime.socket());
        self.running_mut().kubelet = Some(kubelet);
    }

    /// Kills the container runtime and starts it again; containers keep running.
    pub fn restart_runtime(&mut self) {
        drop(self.running_mut().runtime.take());
        let runtime = self
            .runtime
            .start(self.isolated_host(), self.directory.path());
        self.running_mut().runtime = Some(runtime);
    }

    /// Imports an image with this name.
    pub fn import(&self, name: &str, archive: &Path) {
        match self.runtime {
            NodeRuntime::Containerd => Containerd::import(self.isolated_host(), archive),
            NodeRuntime::Crio => Crio::import(self.isolated_host(), name, archive),
        }
    }

    /// Kills everything at once, as a power failure does, and boots with the same disk.
    pub fn reboot(&mut self) {
        drop(self.running.take());
        self.boot(None);
    }

    fn boot(&mut self, list: Option<&str>) {
        let directory = self.directory.path();
        let isolated_host = Arc::new(IsolatedHost::start(directory));
        let host = Host::Isolated(Arc::clone(&isolated_host));
        if let Some(list) = list {
            let lists = isolated_host.path("/etc/cni/net.d");
            fs::create_dir_all(&lists).expect("the isolated host's /etc can be written");
            fs::write(lists.join("10-node.conflist"), list).expect("a list can be written");
        }
        let runtime = self.runtime.start(&isolated_host, directory);
        let etcd = start_etcd(&host, directory);
        let admin = Kubectl::new(host.clone(), self.path("admin.kubeconfig"));
        let serving = Serving {
            bind: "0.0.0.0",
            port: 6443,
            advertised: Some("10.99.0.1"),
        };
        let server = start_server(&admin, &host, directory, &serving);
        self.running = Some(Running {
            kubelet: Some(parts::kubelet(&host, directory, self.runtime.socket())),
            kube_proxy: parts::kube_proxy(&host, directory),
            _scheduler: parts::scheduler(&host, directory),
            _controllers: parts::controllers(&host, directory),
            _server: server,
            _etcd: etcd,
            runtime: Some(runtime),
            isolated_host,
        });
        self.wait_ready();
    }

    /// Waits until the node is ready, pods can be created, and services work.
    fn wait_ready(&mut self) {
        let netns = self.isolated_host().own_netns();
        let kubectl = self.kubectl();
        kubectl.wait("node/node --for=create", TIMEOUT);
        kubectl.wait("node/node --for=condition=Ready", TIMEOUT);
        kubectl.wait("serviceaccount/default --for=create", TIMEOUT);
        let proxy = &mut self.running_mut().kube_proxy;
        proxy.wait_for("has not created the rules of the services", TIMEOUT, || {
            let healthy = netns.run(parts::is_kube_proxy_healthy);
            healthy.is_ok_and(|healthy| healthy).then_some(())
        });
    }

    /// Waits until a service works from the node, because kube-proxy updates its rules only after the
    /// pods are ready.
    pub fn wait_for_service(&mut self, address: SocketAddr) {
        let netns = self.isolated_host().own_netns();
        let proxy = &mut self.running_mut().kube_proxy;
        proxy.wait_for("does not forward to the service", TIMEOUT, || {
            let connected = netns.run(|| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT));
            connected.is_ok_and(|stream| stream.is_ok()).then_some(())
        });
    }

    fn create_users(&self) {
        let mut tokens = String::new();
        for (name, user, group) in USERS {
            let token = random_token();
            tokens += &[&token, ",", user, ",", user, ",", group, "\n"].concat();
            let text = kubeconfig("https://127.0.0.1:6443", &self.path("ca.crt"), &token);
            private_file(&self.path(&format!("{name}.kubeconfig")), &text);
        }
        private_file(&self.path("tokens.csv"), &tokens);
    }

    fn host(&self) -> Host {
        Host::Isolated(Arc::clone(&self.running().isolated_host))
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
