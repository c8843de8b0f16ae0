//! A real Kubernetes API server with its store, for as long as a test needs it.

pub(crate) mod authority;
mod port;
pub(crate) mod server;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use self::port::HeldPort;
use self::server::Serving;
use crate::{Finished, Kubectl, Place, Process};

/// How long a part may take to be ready on a machine that is slow, cold and busy.
const MOST: Duration = Duration::from_secs(300);

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
        authority::make_in(directory.path(), &["127.0.0.1", "localhost", "kubernetes"]);
        let admin = random_token();
        private_file(
            &directory.path().join("tokens.csv"),
            &format!("{admin},admin,admin,system:masters\n"),
        );
        private_file(&directory.path().join("audit.json"), &audit().to_string());
        let mut api = Self {
            server: None,
            _etcd: start_etcd(&Place::Machine, directory.path()),
            port: HeldPort::take(),
            directory,
        };
        private_file(&api.kubeconfig(), &api.kubeconfig_with(&admin));
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
        kubeconfig(&self.url(), &self.authority(), token)
    }

    /// Runs `kubectl` as an administrator, with that input.
    pub fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &str) -> Finished {
        self.admin().run(words, input)
    }

    /// Runs `kubectl` with that kubeconfig and that input.
    pub fn kubectl_as<'a>(
        &self,
        kubeconfig: &Path,
        words: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Finished {
        Kubectl::new(Place::Machine, kubeconfig.to_owned()).run(words, input)
    }

    /// Runs `kubectl` as an administrator, words separated by blanks; it must succeed. Gives back
    /// its output.
    pub fn must(&self, words: &str) -> String {
        self.admin().must(words)
    }

    /// Makes these objects, YAML or JSON, or changes them to what is written.
    pub fn apply(&self, manifests: &str) {
        self.admin().apply(manifests);
    }

    /// What `kubectl get` with these words finds.
    pub fn get(&self, words: &str) -> Value {
        self.admin().get(words)
    }

    /// A new token of that service account, which must exist; the server takes 10 minutes as the
    /// shortest life.
    pub fn token(&self, namespace: &str, account: &str, life: Duration) -> String {
        let life = life.as_secs();
        let words = format!("create token {account} --namespace={namespace} --duration={life}s");
        self.must(&words).trim().to_owned()
    }

    /// A kubeconfig of that service account, with a token that lives an hour.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.token(namespace, account, Duration::from_secs(3600));
        let path = self.path(&format!("{namespace}.{account}.kubeconfig"));
        private_file(&path, &self.kubeconfig_with(&token));
        path
    }

    /// What an account has asked for so far, each as `VERB PATH`, as the server's audit has it.
    pub fn asked_by(&self, namespace: &str, account: &str) -> Vec<String> {
        let log = fs::read_to_string(self.path("audit.log")).expect("the server writes an audit");
        let events = log.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("the audit is JSON");
            event
        });
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let asked = events.filter(|event| event["user"]["username"] == *user);
        let word = |event: &Value, field: &str| event[field].as_str().unwrap_or("").to_owned();
        asked
            .map(|event| word(&event, "verb") + " " + &word(&event, "requestURI"))
            .collect()
    }

    /// Kills the API server, since one that is asked to end waits a minute for whoever watches; its
    /// store keeps all. Connections are refused from now on.
    pub fn stop_server(&mut self) {
        drop(self.server.take().expect("the API server runs"));
    }

    /// Starts the API server again, at the same address.
    pub fn start_server(&mut self) {
        let serving = Serving {
            bind: "127.0.0.1",
            port: self.port.number(),
            advertised: None,
        };
        let server = start_server(
            &self.admin(),
            &Place::Machine,
            self.directory.path(),
            &serving,
        );
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

    fn admin(&self) -> Kubectl {
        Kubectl::new(Place::Machine, self.kubeconfig())
    }

    fn server(&self) -> &Process {
        self.server.as_ref().expect("the API server runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Who asks for what, one line as soon as a request comes in.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
        "rules": [{"level": "Metadata"}],
    })
}

/// Starts the store, and waits until it says that it is ready.
pub(crate) fn start_etcd(place: &Place, directory: &Path) -> Process {
    let mut command = server::etcd(place, directory);
    let at = |name: &str| directory.join(name);
    Process::start_ready(&mut command, &at("etcd.log"), &at("etcd.notify"), MOST)
}

/// Starts the API server, and waits until that administrator is told that it is ready.
pub(crate) fn start_server(
    admin: &Kubectl,
    place: &Place,
    directory: &Path,
    serving: &Serving,
) -> Process {
    let (log, socket) = (
        directory.join("apiserver.log"),
        directory.join("apiserver.notify"),
    );
    let mut command = server::apiserver(place, directory, serving);
    let mut server = Process::start_ready(&mut command, &log, &socket, MOST);
    server.wait_for("is not ready", MOST, || {
        let ready = admin.run(["get", "--raw", "/readyz"], "");
        (ready.code == 0).then_some(())
    });
    server
}

/// The text of a kubeconfig for that server with that bearer token.
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

/// A word that nobody guesses.
pub(crate) fn random_token() -> String {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.expect("the kernel has randomness").trim().to_owned()
}

/// Writes a file that its owner alone may read.
pub(crate) fn private_file(path: &Path, text: &str) {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
