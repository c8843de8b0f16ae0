//! The agents of the fleet: one process for each node.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_tests::{Process, mesh_cni_agent};
use tempfile::TempDir;

use crate::load::node_name;

/// How long all agents may take until they watch.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How often their logs are read.
const INTERVAL: Duration = Duration::from_millis(500);

/// Dropping the value ends all agents.
pub(crate) struct Agents {
    processes: RefCell<Vec<Process>>,
    directory: TempDir,
    count: usize,
}

impl Agents {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            processes: RefCell::default(),
            directory: tempfile::tempdir().expect("a temporary directory can be created"),
            count,
        }
    }

    /// Starts them together, and waits until each watches the pods of its node.
    pub(crate) fn start(&self, kubeconfig: &Path) {
        for node in 0..self.count {
            let mut command = Command::new(mesh_cni_agent());
            command
                .args(["run", "--install", "false", "--node-name"])
                .arg(node_name(node))
                .args(["--health-addr", "off", "--metrics-addr", "off"])
                .arg("--run-dir")
                .arg(self.directory.path().join(node.to_string()))
                .arg("--api-kubeconfig")
                .arg(kubeconfig);
            let agent = Process::start(&command, &self.log(node));
            self.processes.borrow_mut().push(agent);
        }
        self.wait_for_watches(&vec![0; self.count]);
    }

    /// How often each agent has started a watch.
    pub(crate) fn watches(&self) -> Vec<usize> {
        let of = |node| {
            let log = fs::read_to_string(self.log(node)).unwrap_or_default();
            log.matches("watch: started").count()
        };
        (0..self.count).map(of).collect()
    }

    /// Waits until each has started more watches than that.
    pub(crate) fn wait_for_watches(&self, before: &[usize]) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let started = self.watches();
            let mut missing = before.iter().zip(&started).enumerate();
            let Some((node, _)) = missing.find(|(_, (before, now))| now <= before) else {
                return;
            };
            let log = || fs::read_to_string(self.log(node)).unwrap_or_default();
            assert!(Instant::now() < deadline, "{node}: {}", log());
            thread::sleep(INTERVAL);
        }
    }

    fn log(&self, node: usize) -> PathBuf {
        self.directory.path().join(format!("{node}.log"))
    }
}
