//! `kubectl`, by which tests talk to a cluster as its operators do.

use std::env;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::{Deserializer, Value};

use crate::process::Bound;
use crate::{Finished, Place, cluster_binary, finish};

/// A `kubectl get --watch` that runs; it is killed with this value.
#[derive(Debug)]
pub struct Watch {
    bound: Bound,
}

impl Watch {
    /// Ends it.
    pub fn end(&mut self) {
        // Who entered an enclosure waits for its child, which must go first.
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
    place: Place,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// One that runs there with that kubeconfig.
    pub fn new(place: Place, kubeconfig: PathBuf) -> Self {
        let cache = kubeconfig.with_extension("cache");
        Self {
            place,
            kubeconfig,
            cache,
        }
    }

    /// One that runs on this machine with the kubeconfig that `KUBECONFIG` names; none where it
    /// names none. What it learns lies in `cache`.
    pub fn of_environment(cache: PathBuf) -> Option<Self> {
        let kubeconfig = env::var_os("KUBECONFIG").filter(|named| !named.is_empty())?;
        Some(Self {
            place: Place::Machine,
            kubeconfig: kubeconfig.into(),
            cache,
        })
    }

    /// Runs it with these words and that input.
    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &str) -> Finished {
        finish(self.command().args(words), input)
    }

    /// The command itself, without words.
    pub fn command(&self) -> Command {
        let mut command = self.place.command(cluster_binary("kubectl"));
        command
            .env("KUBECONFIG", &self.kubeconfig)
            // What it learnt about other servers at the same address does not hold here.
            .env("KUBECACHEDIR", &self.cache);
        command
    }

    /// Runs it with words separated by blanks; it must succeed. Gives back its output.
    pub fn must(&self, words: &str) -> String {
        let finished = self.run(words.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {words}: {}", finished.stderr);
        finished.stdout
    }

    /// Makes these objects, YAML or JSON, or changes them to what is written.
    pub fn apply(&self, manifests: &str) {
        let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let applied = self.run(words, manifests);
        assert_eq!(applied.code, 0, "{}\n{manifests}", applied.stderr);
    }

    /// What `kubectl get` with these words finds.
    pub fn get(&self, words: &str) -> Value {
        let found = self.must(&format!("get {words} --output=json"));
        serde_json::from_str(&found).expect("kubectl prints JSON")
    }

    /// Watches the one object that the words name, such as `pod NAME`, and asks `probe` about it at
    /// each change until there is an answer.
    pub fn watch_until<T>(
        &self,
        words: &str,
        most: Duration,
        mut probe: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + most;
        let (tell, told) = mpsc::channel();
        let mut watch = self.watch(&words.split(' ').collect::<Vec<_>>(), move |object| {
            drop(tell.send(object));
        });
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let object = told.recv_timeout(left);
            let object = object.unwrap_or_else(|_| panic!("{words}: not in time"));
            if let Some(answer) = probe(&object) {
                watch.end();
                return answer;
            }
        }
    }

    /// Tells of each object that the words name and of each change of it, until the watch is
    /// ended.
    pub fn watch(&self, words: &[&str], mut tell: impl FnMut(Value) + Send + 'static) -> Watch {
        let mut command = self.command();
        command.arg("get").args(words);
        command.args(["--watch", "--output=json"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut bound = Bound::spawn(command);
        let stdout = bound.child.stdout.take().expect("stdout is a pipe");
        thread::spawn(move || {
            let objects = Deserializer::from_reader(BufReader::new(stdout)).into_iter();
            objects.map_while(Result::ok).for_each(&mut tell);
        });
        Watch { bound }
    }

    /// Waits until all pods of what is named run as it says now, such as `deployment/x`.
    pub fn rolled_out(&self, words: &str, most: Duration) {
        self.must(&format!(
            "rollout status {words} --timeout={}s",
            most.as_secs()
        ));
    }

    /// Waits until the server tells of what the words name, such as
    /// `pod/x --for=condition=Ready`. It is told of each change, and asks nobody again.
    pub fn wait(&self, words: &str, most: Duration) {
        let waited = format!("wait {words} --timeout={}s", most.as_secs());
        let finished = self.run(waited.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {waited}: {}", finished.stderr);
    }
}
