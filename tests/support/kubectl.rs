//! Runs `kubectl`, as operators of a cluster do.

use std::env;
use std::ffi::OsStr;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::{Deserializer, Value};

use crate::process::BoundChild;
use crate::{Finished, Host, cluster_binary, finish};

/// A running `kubectl get --watch`; dropping the value kills it.
#[derive(Debug)]
pub struct Watch {
    bound: BoundChild,
}

impl Watch {
    /// Stops it.
    pub fn end(&mut self) {
        // `nsenter` waits for its child, which must be killed first.
        let pid = self.bound.inner_pid().unwrap_or(self.bound.pid());
        if matches!(self.bound.child.try_wait(), Ok(None)) {
            kill(pid, Signal::SIGKILL).unwrap_or_default();
            drop(self.bound.child.wait());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Calls `kubectl` with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    host: Host,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// `kubectl` with a kubeconfig, on a host.
    pub fn new(host: Host, kubeconfig: PathBuf) -> Self {
        let cache = kubeconfig.with_extension("cache");
        Self {
            host,
            kubeconfig,
            cache,
        }
    }

    /// `kubectl` on this machine with the kubeconfig in the environment variable `KUBECONFIG`; `None`
    /// if it is not set. Discovery results are cached in `cache`.
    pub fn of_environment(cache: PathBuf) -> Option<Self> {
        let kubeconfig = env::var_os("KUBECONFIG").filter(|named| !named.is_empty())?;
        Some(Self {
            host: Host::Local,
            kubeconfig: kubeconfig.into(),
            cache,
        })
    }

    /// Runs it with arguments and an input.
    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &str) -> Finished {
        finish(self.command().args(words), input)
    }

    /// The command without arguments.
    pub fn command(&self) -> Command {
        self.command_of(cluster_binary("kubectl"))
    }

    /// Another program that uses the same kubeconfig on the same host.
    pub fn command_of(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.host.command(program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            // Cached discovery results of other servers at the same address are not valid here.
            .env("KUBECACHEDIR", &self.cache);
        command
    }

    /// Runs it; it must succeed. Spaces separate the arguments. Returns the output.
    pub fn must(&self, words: &str) -> String {
        let finished = self.run(words.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {words}: {}", finished.stderr);
        finished.stdout
    }

    /// Applies manifests in YAML or JSON.
    pub fn apply(&self, manifests: &str) {
        let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let applied = self.run(words, manifests);
        assert_eq!(applied.code, 0, "{}\n{manifests}", applied.stderr);
    }

    /// The result of `kubectl get`.
    pub fn get(&self, words: &str) -> Value {
        let found = self.must(&format!("get {words} --output=json"));
        serde_json::from_str(&found).expect("kubectl prints JSON")
    }

    /// Watches one object, such as `pod NAME`, and calls `probe` with it after each change until it
    /// returns a value.
    pub fn watch_until<T>(
        &self,
        words: &str,
        most: Duration,
        mut probe: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + most;
        let (sender, receiver) = mpsc::channel();
        let mut watch = self.watch(&words.split(' ').collect::<Vec<_>>(), move |object| {
            drop(sender.send(object));
        });
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let object = receiver.recv_timeout(left);
            let object = object.unwrap_or_else(|_| panic!("{words}: not in time"));
            if let Some(value) = probe(&object) {
                watch.end();
                return value;
            }
        }
    }

    /// Calls `on_change` with each object and after each change of it, until the watch is stopped.
    pub fn watch(
        &self,
        words: &[&str],
        mut on_change: impl FnMut(Value) + Send + 'static,
    ) -> Watch {
        let mut command = self.command();
        command.arg("get").args(words);
        command.args(["--watch", "--output=json"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut bound = BoundChild::spawn(command);
        let stdout = bound.child.stdout.take().expect("stdout is a pipe");
        thread::spawn(move || {
            let objects = Deserializer::from_reader(BufReader::new(stdout)).into_iter();
            objects.map_while(Result::ok).for_each(&mut on_change);
        });
        Watch { bound }
    }

    /// Waits until a rollout is complete, such as that of `deployment/x`.
    pub fn rolled_out(&self, words: &str, most: Duration) {
        self.must(&format!(
            "rollout status {words} --timeout={}s",
            most.as_secs()
        ));
    }

    /// Waits for a condition, such as `pod/x --for=condition=Ready`, with `kubectl wait`, which uses a
    /// watch.
    pub fn wait(&self, words: &str, most: Duration) {
        let waited = format!("wait {words} --timeout={}s", most.as_secs());
        let finished = self.run(waited.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {waited}: {}", finished.stderr);
    }
}
