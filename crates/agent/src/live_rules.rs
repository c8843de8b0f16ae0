//! The live rules of pods: read through one of their processes, a few at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netns::{ProcessError, ProcessTable};
use mesh_cni_plan::ExpectedRules;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error_chain;
use crate::repair::{ObservedRules, PodNamespaces};
use mesh_cni_kube::pod::Pod;

/// The time limit for one pod. Reading may start programs of the host.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for one pod of a list.
const LISTED_TIMEOUT: Duration = Duration::from_secs(1);

/// The time limit for all pods of a list. The agent must respond within 8 seconds.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the page of a pod waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the result for a pod of a list is used again.
const AGE: Duration = Duration::from_secs(5);

/// How many reads run at a time.
const READS: usize = 2;

/// How many reads may exist with those that took too long and have not ended.
const THREADS: usize = 8;

/// The live rules of a pod, or in one sentence why they cannot be read.
pub(crate) type LiveRules = Result<Vec<RuleSet>, String>;

/// Reads the live rules of a few pods at a time.
pub(crate) struct LiveRulesReader {
    namespaces: Arc<PodNamespaces>,
    /// The reads that a response waits for.
    turns: Semaphore,
    /// Every read, also one that took too long: it cannot be stopped.
    threads: Arc<Semaphore>,
    /// The UIDs of the pods that are being read.
    running: Arc<Mutex<BTreeSet<String>>>,
    /// One list is read at a time, so that the next one uses its results.
    list: tokio::sync::Mutex<()>,
    /// The latest results for lists, by UID.
    observed: Mutex<HashMap<String, (Instant, ObservedRules)>>,
}

/// The reads for one list.
pub(crate) struct Batch<'reader> {
    reader: &'reader LiveRulesReader,
    deadline: Instant,
    /// The processes of the node, read once.
    processes: OnceCell<Arc<ProcessTable>>,
    /// Absent if another list took all the time.
    _only: Option<tokio::sync::MutexGuard<'reader, ()>>,
}

impl LiveRulesReader {
    pub(crate) fn new(namespaces: Arc<PodNamespaces>) -> Self {
        Self {
            namespaces,
            turns: Semaphore::new(READS),
            threads: Arc::new(Semaphore::new(THREADS)),
            running: Arc::default(),
            list: tokio::sync::Mutex::default(),
            observed: Mutex::default(),
        }
    }

    /// The live rules of a pod; `None` while too many others are being read.
    pub(crate) async fn read(&self, pod: &Arc<Pod>) -> Option<LiveRules> {
        let _turn = timeout(TURN_TIMEOUT, self.turns.acquire()).await.ok()?;
        let (namespaces, read_pod) = (Arc::clone(&self.namespaces), Arc::clone(pod));
        let read = move || namespaces.live_rules(&read_pod);
        let rules = self.limited(&pod.uid, TIMEOUT, read).await;
        Some(rules.unwrap_or_else(|why| Err(format!("The live rules cannot be read: {why}."))))
    }

    /// Starts to read the rules of the pods of a list.
    pub(crate) async fn batch(&self) -> Batch<'_> {
        let deadline = Instant::now() + LIST_TIMEOUT;
        let only = timeout_at(deadline, self.list.lock()).await.ok();
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.retain(|_, (at, _)| at.elapsed() < AGE);
        Batch {
            reader: self,
            deadline,
            processes: OnceCell::new(),
            _only: only,
        }
    }

    async fn processes(&self, deadline: Instant) -> Arc<ProcessTable> {
        let namespaces = Arc::clone(&self.namespaces);
        let read = spawn_blocking(move || namespaces.processes());
        match timeout_at(deadline, read).await {
            Ok(Ok(processes)) => Arc::new(processes),
            Ok(Err(_)) | Err(_) => Arc::default(),
        }
    }

    /// The result of `read`, which blocks, or why there is none within that time.
    async fn limited<T: Send + 'static>(
        &self,
        uid: &str,
        time: Duration,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let Some(running) = Running::new(&self.running, uid) else {
            return Err("an earlier read of this pod has not ended".to_owned());
        };
        let Ok(thread) = Arc::clone(&self.threads).try_acquire_owned() else {
            return Err("too many earlier reads have not ended".to_owned());
        };
        let reading = spawn_blocking(move || {
            let result = read();
            drop((running, thread));
            result
        });
        match timeout(time, reading).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(error_chain(&error)),
            Err(_elapsed) => Err("reading them takes too long".to_owned()),
        }
    }
}

impl Batch<'_> {
    /// How many pods are worth reading at a time.
    pub(crate) const READS: usize = READS;

    /// Compares the live rules of a pod with those that it needs. A pod that cannot be read in time
    /// takes little time from the others.
    pub(crate) async fn observe(&self, pod: &Arc<Pod>, rules: ExpectedRules) -> ObservedRules {
        let reader = self.reader;
        let results = || {
            reader
                .observed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((_, known)) = results().get(&pod.uid) {
            return known.clone();
        }
        let processes = || reader.processes(self.deadline);
        let processes = Arc::clone(self.processes.get_or_init(processes).await);
        if !reader.namespaces.is_visible(&processes, pod) {
            return ObservedRules::Unreadable(ProcessError::NotFound.to_string());
        }
        let Ok(_turn) = timeout_at(self.deadline, reader.turns.acquire()).await else {
            return ObservedRules::Unreadable("there was no time to read them".to_owned());
        };
        let left = self.deadline.duration_since(Instant::now());
        let (namespaces, read_pod) = (Arc::clone(&reader.namespaces), Arc::clone(pod));
        let observe = move || namespaces.observe(&processes, &read_pod, &rules);
        match reader
            .limited(&pod.uid, left.min(LISTED_TIMEOUT), observe)
            .await
        {
            Ok(observed) => {
                results().insert(pod.uid.clone(), (Instant::now(), observed.clone()));
                observed
            }
            Err(why) => ObservedRules::Unreadable(why),
        }
    }
}

/// A pod that is being read until this is dropped.
struct Running {
    all: Arc<Mutex<BTreeSet<String>>>,
    uid: String,
}

impl Running {
    /// `None` if it is being read already.
    fn new(all: &Arc<Mutex<BTreeSet<String>>>, uid: &str) -> Option<Self> {
        let mut uids = all.lock().unwrap_or_else(PoisonError::into_inner);
        uids.insert(uid.to_owned()).then(|| Self {
            all: Arc::clone(all),
            uid: uid.to_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut uids = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        uids.remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::kube::pods::Pods;
    use crate::kube::store::PodStore;
    use crate::other_meshes::OtherMeshes;

    fn reader() -> LiveRulesReader {
        let store = Arc::new(PodStore::new(Pods::default()));
        let others = OtherMeshes::new(Arc::clone(&store), Arc::default(), None);
        LiveRulesReader::new(Arc::new(PodNamespaces::new(
            "/nowhere".into(),
            store,
            others,
        )))
    }

    #[tokio::test]
    async fn reads_that_do_not_end_are_limited_and_others_get_results() {
        let reader = reader();
        let short = Duration::from_millis(10);
        let mut senders = Vec::new();
        for pod in 0..THREADS {
            let other = reader.limited("other", TIMEOUT, || 7).await;
            assert_eq!(other, Ok(7), "after {pod} reads that do not end");
            let (sender, end) = channel::<()>();
            senders.push(sender);
            let uid = pod.to_string();
            let stuck = reader.limited(&uid, short, move || end.recv().is_ok());
            assert_eq!(stuck.await.unwrap_err(), "reading them takes too long");
            let again = reader.limited(&uid, short, || true).await;
            let why = "an earlier read of this pod has not ended";
            assert_eq!(again.unwrap_err(), why);
        }
        let other = reader.limited("other", TIMEOUT, || 7).await;
        assert_eq!(other.unwrap_err(), "too many earlier reads have not ended");
        senders.clear();
        while reader.limited("0", TIMEOUT, || 7).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
