//! `kubectl`, by which tests talk to a cluster as its operators do.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::{Finished, Place, cluster_binary, finish};

/// Calls `kubectl` with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    place: Place,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// One that runs there with that kubeconfig.
    pub fn new(place: Place, kubeconfig: PathBuf) -> Self {
        Self { place, kubeconfig }
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
            .env("KUBECACHEDIR", self.kubeconfig.with_extension("cache"));
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

    /// Waits until the server tells of what the words name, such as
    /// `pod/x --for=condition=Ready`. It is told of each change, and asks nobody again.
    pub fn wait(&self, words: &str, most: Duration) {
        let waited = format!("wait {words} --timeout={}s", most.as_secs());
        let finished = self.run(waited.split_whitespace(), "");
        assert_eq!(finished.code, 0, "kubectl {waited}: {}", finished.stderr);
    }
}
