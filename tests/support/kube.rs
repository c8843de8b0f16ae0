//! A real Kubernetes API server with etcd.

pub(crate) mod authority;
mod port;
pub(crate) mod server;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::port::ReservedPort;
use self::server::Serving;
use crate::{Finished, Host, Kubectl, Process};

/// The timeout until a component is ready; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(300);

/// etcd and kube-apiserver on loopback, with RBAC and without controllers: pods stay as they are
/// written, and no service account is created automatically. Dropping the value stops both and
/// removes their files.
#[derive(Debug)]
pub struct KubeApi {
    // Dropped in this order: clients before servers.
    server: Option<Process>,
    etcd: Process,
    port: ReservedPort,
    host: Host,
    directory: TempDir,
}

impl KubeApi {
    /// Starts both, and waits until the API server is ready.
    pub fn start() -> Self {
        Self::start_on(Host::Local)
    }

    /// As [`KubeApi::start`], on the loopback interface of a host.
    pub fn start_on(host: Host) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        authority::create_in(directory.path(), &["127.0.0.1", "localhost", "kubernetes"]);
        let admin = random_token();
        private_file(
            &directory.path().join("tokens.csv"),
            &format!("{admin},admin,admin,system:masters\n"),
        );
        private_file(&directory.path().join("audit.json"), &audit().to_string());
        let mut api = Self {
            server: None,
            etcd: start_etcd(&host, directory.path()),
            port: ReservedPort::new(),
            host,
            directory,
        };
        private_file(&api.kubeconfig(), &api.kubeconfig_with(&admin));
        api.start_server();
        api
    }

    /// Its URL, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number())
    }

    /// The file with its CA certificate in PEM.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("admin.kubeconfig")
    }

    /// The text of a kubeconfig with a bearer token.
    pub fn kubeconfig_with(&self, token: &str) -> String {
        kubeconfig(&self.url(), &self.authority(), token)
    }

    /// Runs `kubectl` as an administrator.
    pub fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &str) -> Finished {
        self.admin().run(words, input)
    }

    /// Runs `kubectl` with a kubeconfig.
    pub fn kubectl_as<'a>(
        &self,
        kubeconfig: &Path,
        words: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Finished {
        Kubectl::new(self.host.clone(), kubeconfig.to_owned()).run(words, input)
    }

    /// Runs `kubectl` as an administrator; it must succeed. Spaces separate the arguments. Returns
    /// the output.
    pub fn must(&self, words: &str) -> String {
        self.admin().must(words)
    }

    /// Applies manifests in YAML or JSON.
    pub fn apply(&self, manifests: &str) {
        self.admin().apply(manifests);
    }

    /// Creates a pod in namespace `default` with exactly this JSON. `kubectl apply` would store it twice,
    /// and `kubectl create` would escape it.
    pub fn create_pod(&self, pod: &Value) {
        let path = "/api/v1/namespaces/default/pods";
        let created = self.kubectl(["create", "--raw", path, "-f", "-"], &pod.to_string());
        assert_eq!(created.code, 0, "{}", created.stderr);
    }

    /// The result of `kubectl get`.
    pub fn get(&self, words: &str) -> Value {
        self.admin().get(words)
    }

    /// A new token of a service account, which must exist. The server's minimum lifetime is 10
    /// minutes.
    pub fn token(&self, namespace: &str, account: &str, lifetime: Duration) -> String {
        let seconds = lifetime.as_secs();
        let words = format!("create token {account} --namespace={namespace} --duration={seconds}s");
        self.must(&words).trim().to_owned()
    }

    /// A kubeconfig of a service account, with a token for one hour.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.token(namespace, account, Duration::from_secs(3600));
        self.kubeconfig_named(&format!("{namespace}.{account}"), &token)
    }

    /// A kubeconfig of a service account, with a token bound to an object, which must exist: `Node`
    /// with its name, or `Pod` with the name of a pod that runs as the account.
    pub fn kubeconfig_bound(
        &self,
        namespace: &str,
        account: &str,
        kind: &str,
        name: &str,
    ) -> PathBuf {
        let bound = format!("--bound-object-kind={kind} --bound-object-name={name}");
        let token = self.must(&format!(
            "create token {account} --namespace={namespace} {bound}"
        ));
        let file = format!("{namespace}.{account}.{kind}.{name}");
        self.kubeconfig_named(&file, token.trim())
    }

    fn kubeconfig_named(&self, name: &str, token: &str) -> PathBuf {
        let path = self.path(&format!("{name}.kubeconfig"));
        private_file(&path, &self.kubeconfig_with(token));
        path
    }

    /// The requests of a service account so far, each as `VERB PATH`, from the server's audit log.
    pub fn requests_of(&self, namespace: &str, account: &str) -> Vec<String> {
        let log =
            fs::read_to_string(self.path("audit.log")).expect("the server writes an audit log");
        let events = log.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("the audit log is JSON");
            event
        });
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let asked = events.filter(|event| event["user"]["username"] == *user);
        let word = |event: &Value, field: &str| event[field].as_str().unwrap_or("").to_owned();
        asked
            .map(|event| word(&event, "verb") + " " + &word(&event, "requestURI"))
            .collect()
    }

    /// Kills the API server, since SIGTERM would make it wait one minute for its watches. etcd keeps
    /// the data. From now on, connections are refused.
    pub fn stop_server(&mut self) {
        drop(self.server.take().expect("the API server runs"));
    }

    /// Starts the API server again on the same address.
    pub fn start_server(&mut self) {
        let serving = Serving {
            bind: "127.0.0.1",
            port: self.port.number(),
            advertised: None,
        };
        let server = start_server(&self.admin(), &self.host, self.directory.path(), &serving);
        self.server = Some(server);
    }

    /// Pauses the API server: it keeps its connections, but does not respond.
    pub fn pause_server(&self) {
        self.server().pause();
    }

    /// Undoes [`KubeApi::pause_server`].
    pub fn resume_server(&self) {
        self.server().resume();
    }

    /// The process ids of the API server and etcd.
    pub fn pids(&self) -> [Pid; 2] {
        [self.server().pid(), self.etcd.pid()]
    }

    fn admin(&self) -> Kubectl {
        Kubectl::new(self.host.clone(), self.kubeconfig())
    }

    fn server(&self) -> &Process {
        self.server.as_ref().expect("the API server runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// An audit policy that logs each request when it is received.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
        "rules": [{"level": "Metadata"}],
    })
}

/// Starts etcd, and waits until it is ready.
pub(crate) fn start_etcd(host: &Host, directory: &Path) -> Process {
    let mut command = server::etcd(host, directory);
    let at = |name: &str| directory.join(name);
    Process::start_ready(&mut command, &at("etcd.log"), &at("etcd.notify"), TIMEOUT)
}

/// Starts the API server, and waits until it is ready.
pub(crate) fn start_server(
    admin: &Kubectl,
    host: &Host,
    directory: &Path,
    serving: &Serving,
) -> Process {
    let (log, socket) = (
        directory.join("apiserver.log"),
        directory.join("apiserver.notify"),
    );
    let mut command = server::apiserver(host, directory, serving);
    let mut server = Process::start_ready(&mut command, &log, &socket, TIMEOUT);
    server.wait_for("is not ready", TIMEOUT, || {
        let ready = admin.run(["get", "--raw", "/readyz"], "");
        (ready.code == 0).then_some(())
    });
    server
}

/// The text of a kubeconfig for a server with a bearer token.
pub(crate) fn kubeconfig(url: &str, authority: &Path, token: &str) -> String {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {"server": url, "certificate-authority": authority},
        }],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    text.to_string()
}

/// An unpredictable token.
pub(crate) fn random_token() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid");
    random
        .expect("the kernel provides random UUIDs")
        .trim()
        .to_owned()
}

/// Writes a file that only its owner can read.
pub(crate) fn private_file(path: &Path, text: &str) {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
