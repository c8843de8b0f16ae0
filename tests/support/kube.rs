//! A real Kubernetes API server with its store, for as long as a test needs it.

mod authority;
mod port;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use self::port::HeldPort;
use crate::{Finished, Process, cluster_binary, finish};

/// How long a part may take to be ready on a busy machine.
const MOST: Duration = Duration::from_secs(120);

/// An etcd and a kube-apiserver on loopback, with RBAC on and no controllers: pods stay as they
/// are written, and no service account is made by itself. Both end with this value, and nothing
/// of them stays.
#[derive(Debug)]
pub struct KubeApi {
    // Dropped in this order: who asks goes before who answers.
    server: Option<Process>,
    _etcd: Process,
    port: HeldPort,
    directory: TempDir,
}

impl KubeApi {
    /// Starts both, and waits until the API server says that it is ready.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let at = |name: &str| directory.path().join(name);
        authority::make_in(directory.path(), &["127.0.0.1", "localhost", "kubernetes"]);
        let admin = random_token();
        private_file(
            &at("tokens.csv"),
            &format!("{admin},admin,admin,system:masters\n"),
        );
        let etcd = start_etcd(directory.path());
        let mut api = Self {
            server: None,
            _etcd: etcd,
            port: HeldPort::take(),
            directory,
        };
        let kubeconfig = api.kubeconfig_with(&admin);
        private_file(&api.kubeconfig(), &kubeconfig);
        api.start_server();
        api
    }

    /// Where it answers: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number())
    }

    /// The certificate that its own is signed with, as a PEM file.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("admin.kubeconfig")
    }

    /// The text of a kubeconfig with that bearer token.
    pub fn kubeconfig_with(&self, token: &str) -> String {
        let cluster = json!({
            "server": self.url(),
            "certificate-authority": self.authority(),
        });
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        });
        text.to_string()
    }

    /// Runs `kubectl` as an administrator, with that input.
    pub fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &str) -> Finished {
        self.kubectl_as(&self.kubeconfig(), words, input)
    }

    /// Runs `kubectl` with that kubeconfig and that input.
    pub fn kubectl_as<'a>(
        &self,
        kubeconfig: &Path,
        words: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Finished {
        let mut command = Command::new(cluster_binary("kubectl"));
        command
            .env("KUBECONFIG", kubeconfig)
            // What it learnt about other servers at the same address does not hold here.
            .env("KUBECACHEDIR", self.path("kubectl-cache"))
            .args(words);
        finish(&mut command, input)
    }

    /// Runs `kubectl` as an administrator, words separated by blanks; it must succeed. Gives back
    /// its output.
    pub fn must(&self, words: &str) -> String {
        let finished = self.kubectl(words.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {words}: {}", finished.stderr);
        finished.stdout
    }

    /// Makes these objects, YAML or JSON, or changes them to what is written.
    pub fn apply(&self, manifests: &str) {
        let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let applied = self.kubectl(words, manifests);
        assert_eq!(applied.code, 0, "{}\n{manifests}", applied.stderr);
    }

    /// What `kubectl get` with these words finds.
    pub fn get(&self, words: &str) -> Value {
        let found = self.must(&format!("get {words} -o json"));
        serde_json::from_str(&found).expect("kubectl prints JSON")
    }

    /// A new token of that service account, which must exist; the server takes 10 minutes as the
    /// shortest life.
    pub fn token(&self, namespace: &str, account: &str, life: Duration) -> String {
        let (life, namespace) = (life.as_secs(), ["--namespace", namespace].join("="));
        let token = self.must(&format!(
            "create token {account} {namespace} --duration={life}s"
        ));
        token.trim().to_owned()
    }

    /// A kubeconfig of that service account, with a token that lives an hour.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.token(namespace, account, Duration::from_secs(3600));
        let path = self.path(&format!("{namespace}.{account}.kubeconfig"));
        private_file(&path, &self.kubeconfig_with(&token));
        path
    }

    /// Ends the API server; its store keeps all. Connections are refused from now on.
    pub fn stop_server(&mut self) {
        let server = self.server.take().expect("the API server runs");
        server.end();
    }

    /// Starts the API server again, at the same address.
    pub fn start_server(&mut self) {
        let socket = self.path("apiserver.notify");
        let log = self.path("apiserver.log");
        let mut command = self.server_command();
        let mut server = Process::start_ready(&mut command, &log, &socket, MOST);
        server.wait_for("is not ready", MOST, || {
            let ready = self.kubectl(["get", "--raw", "/readyz"], "");
            (ready.code == 0).then_some(())
        });
        self.server = Some(server);
    }

    /// Lets the API server keep its connections and answer nobody.
    pub fn pause_server(&self) {
        self.server().pause();
    }

    /// Undoes [`KubeApi::pause_server`].
    pub fn resume_server(&self) {
        self.server().resume();
    }

    fn server(&self) -> &Process {
        self.server.as_ref().expect("the API server runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn server_command(&self) -> Command {
        let mut command = Command::new(cluster_binary("kube-apiserver"));
        let mut flag = |name: &str, value: &str| {
            command.arg(format!("--{name}={value}"));
        };
        flag("etcd-servers", &etcd_url(self.directory.path()));
        flag("bind-address", "127.0.0.1");
        flag("external-hostname", "127.0.0.1");
        flag("secure-port", &self.port.number().to_string());
        flag("permit-port-sharing", "true");
        // There is no service through which pods would find it.
        flag("endpoint-reconciler-type", "none");
        flag("service-cluster-ip-range", "10.96.0.0/16");
        flag("authorization-mode", "Node,RBAC");
        // It would refuse pods whose account no controller has made.
        flag("disable-admission-plugins", "ServiceAccount");
        flag("allow-privileged", "true");
        flag("service-account-issuer", "https://kubernetes.default.svc");
        for (name, file) in [
            ("tls-cert-file", "server.crt"),
            ("tls-private-key-file", "server.key"),
            ("service-account-key-file", "tokens.pub"),
            ("service-account-signing-key-file", "tokens.key"),
            ("token-auth-file", "tokens.csv"),
        ] {
            flag(name, &self.path(file).to_string_lossy());
        }
        command
    }
}

fn start_etcd(directory: &Path) -> Process {
    let mut command = Command::new(cluster_binary("etcd"));
    command
        .arg("--data-dir")
        .arg(directory.join("etcd"))
        // Sockets of its own: no port that another might have.
        .args(["--listen-client-urls", &etcd_url(directory)])
        .arg(format!(
            "--listen-peer-urls=unix://{}/peer.sock",
            directory.display()
        ))
        // Nobody reads this one, and it must be a host.
        .args(["--advertise-client-urls", "http://localhost:2379"])
        // What a test writes need not outlive the machine.
        .arg("--unsafe-no-fsync");
    let (log, socket) = (directory.join("etcd.log"), directory.join("etcd.notify"));
    Process::start_ready(&mut command, &log, &socket, MOST)
}

fn etcd_url(directory: &Path) -> String {
    format!("unix://{}/etcd.sock", directory.display())
}

fn random_token() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.expect("the kernel has randomness").trim().to_owned()
}

/// Writes a file that its owner alone may read.
fn private_file(path: &Path, text: &str) {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
