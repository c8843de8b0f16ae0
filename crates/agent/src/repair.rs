//! Repair: pods of this node that should be redirected and run without their rules, since they
//! started before the plugin was there.
//!
//! | part | takes | gives |
//! |---|---|---|
//! | `diagnosis` (pure) | what the API server says of a pod, what was seen in its namespace | what to do, or why nothing |
//! | `queue` (pure) | what is heard, what failed, the time | who is due |
//! | `namespace` | a pod, the wanted rules | what stands; the rules made and read back |
//! | `treatment` | a remedy | it carried out, and told: Event, metric, log |

mod diagnosis;
mod event;
mod namespace;
mod queue;
mod settings;
mod tally;
mod treatment;

use std::sync::Arc;
use std::time::Duration;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netns::{BackendChoice, ProcessTable};
use mesh_cni_plan::{MeshConf, Plan, plan};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

pub use diagnosis::{Diagnosis, History, Reason, Remedy, Rules, Sight, Wanted, diagnose};
pub use settings::{RepairAction, RepairSettings};
pub use tally::{BrokenPod, RepairStatus};

use crate::kube::api::Api;
use crate::kube::pod::Pod;
use crate::kube::pods::{Changes, Lookup};
use crate::kube::store::Directory;
use crate::metrics::Metrics;
use crate::readiness::Board;
pub(crate) use namespace::Hands;
use queue::{Due, Queue};
pub(crate) use tally::Tally;
use treatment::Outcome;

/// How long labels of a namespace are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two deletions: what is deleted starts elsewhere, and that takes its time.
const BETWEEN_DELETIONS: Duration = Duration::from_secs(5);

/// How often a namespace that cannot be seen is looked for before the pod is heard of again.
const LOOKS: u32 = 6;

/// A diagnosis leads to a look, that to a remedy, and that to the end.
const ROUNDS: usize = 4;

/// Who repairs.
pub(crate) struct Repairs {
    pub(crate) settings: RepairSettings,
    pub(crate) conf: MeshConf,
    /// The back end that the plugin would take.
    pub(crate) choice: BackendChoice,
    pub(crate) node: String,
    pub(crate) directory: Arc<Directory>,
    pub(crate) api: Arc<Api>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) board: Arc<Board>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) hands: Arc<Hands>,
}

/// What is under way.
struct Work {
    queue: Queue,
    next_deletion: Instant,
}

/// A pod at the moment, with what the plugin would do for it.
struct Patient {
    pod: Arc<Pod>,
    wanted: Wanted,
    rules: Arc<Vec<RuleSet>>,
}

/// What one batch of pods shares: a look at the node's processes, taken where it is needed.
type Seen = Option<Arc<ProcessTable>>;

impl Repairs {
    /// Repairs until the task is dropped.
    pub(crate) async fn run(self) {
        self.metrics.expect_repairs(self.tally.remedies());
        let directory = Arc::clone(&self.directory);
        let mut changes = directory.subscribe();
        let mut work = Work {
            queue: Queue::default(),
            next_deletion: Instant::now(),
        };
        loop {
            let next = work.queue.next();
            tokio::select! {
                changes = changes.next() => self.hear(&mut work.queue, &changes),
                () = until(next) => self.attend(&mut work).await,
            }
        }
    }

    fn hear(&self, queue: &mut Queue, changes: &Changes) {
        for pod in &changes.gone {
            queue.forget(&pod.uid);
            self.tally.sound(&pod.name, &pod.uid);
        }
        // What went while we were too slow to hear it.
        if queue.len() > self.directory.count() {
            queue.keep(&self.directory.all());
        }
        for pod in &changes.now {
            if !queue.heard(pod, Instant::now()) {
                warn!(pod = %pod.name, "repair: too many pods, this one is not followed");
            }
        }
    }

    /// Attends to everyone who is due, one after the other.
    async fn attend(&self, work: &mut Work) {
        let mut seen = None;
        for due in work.queue.take(Instant::now()) {
            match self.directory.find(&due.name, Some(&due.uid)) {
                Lookup::Found(pod) if pod.uid == due.uid => {
                    self.attend_to(work, &mut seen, &due, pod).await;
                }
                _ => work.queue.forget(&due.uid),
            }
        }
    }

    async fn attend_to(&self, work: &mut Work, seen: &mut Seen, due: &Due, pod: Arc<Pod>) {
        let Some(patient) = self.patient(pod).await else {
            let later = Instant::now() + PATIENCE;
            return work.queue.postpone(&due.uid, later);
        };
        if let Some(history) = work.queue.history(&due.uid) {
            // What could not be seen is looked for again.
            history.sight.take_if(|sight| !sight.rules.are_seen());
        }
        for _round in 0..ROUNDS {
            let Some(history) = work.queue.history(&due.uid) else {
                return;
            };
            match diagnose(&patient.pod, &patient.wanted, history, &self.settings) {
                Diagnosis::Leave(reason) => return self.leave(work, &patient, &reason),
                Diagnosis::Look => {
                    let sight = self.look(seen, &patient).await;
                    history.saw(sight);
                }
                Diagnosis::Act(remedy) => {
                    if !self.act(work, seen, &patient, remedy).await {
                        return;
                    }
                }
            }
        }
    }

    /// The pod with its rules, as an ADD would find them; `None` where the labels of its namespace
    /// are not known yet.
    async fn patient(&self, pod: Arc<Pod>) -> Option<Patient> {
        let patient = |wanted, rules| {
            let rules = Arc::new(rules);
            Some(Patient {
                pod: Arc::clone(&pod),
                wanted,
                rules,
            })
        };
        let nothing = |why| patient(Wanted::Nothing(why), Vec::new());
        let name = &pod.name;
        if self.conf.is_agent_pod(&name.namespace, &name.name) {
            return nothing("it is the agent's own".to_owned());
        }
        if let Some(reason) = self.conf.policy().exclude_by_name(&name.namespace) {
            return nothing(reason.to_string());
        }
        let facts = match &pod.facts {
            Ok(facts) => self.directory.complete(facts, PATIENCE).await?,
            Err(error) => return nothing(crate::one_line(error)),
        };
        match plan(&facts, &self.conf, &crate::http::page::addresses(&pod)) {
            Ok(Plan::Redirect(redirection)) => patient(Wanted::Rules, redirection.rule_sets),
            Ok(Plan::Skip(reason)) => nothing(reason.to_string()),
            Err(error) => nothing(crate::one_line(&error)),
        }
    }

    fn leave(&self, work: &mut Work, patient: &Patient, reason: &Reason) {
        let Pod { name, uid, .. } = &*patient.pod;
        let (namespace, pod) = (&name.namespace, &name.name);
        if reason.is_broken() {
            if self.tally.broken(name, uid, reason.to_string()) {
                warn!(namespace, pod, "repair: it stays broken: {reason}");
            }
            return;
        }
        debug!(namespace, pod, "repair: left alone: {reason}");
        match reason {
            Reason::Unseen(_) if work.queue.failures(uid) < LOOKS => {
                work.queue.missed(uid, Instant::now());
            }
            Reason::Unseen(_) => info!(namespace, pod, "repair: {reason}"),
            _ => self.tally.sound(name, uid),
        }
    }

    async fn look(&self, seen: &mut Seen, patient: &Patient) -> Sight {
        let processes = self.processes(seen).await;
        let (hands, pod) = (Arc::clone(&self.hands), Arc::clone(&patient.pod));
        let wanted = Arc::clone(&patient.rules);
        let looking = spawn_blocking(move || hands.see(&processes, &pod, &wanted));
        let rules = looking.await;
        let rules = rules.unwrap_or_else(|error| Rules::Unseen(crate::one_line(&error)));
        Sight::of(&patient.pod, rules, &self.settings)
    }

    async fn processes(&self, seen: &mut Seen) -> Arc<ProcessTable> {
        if let Some(processes) = seen {
            return Arc::clone(processes);
        }
        let proc = self.hands.proc.clone();
        let read = spawn_blocking(move || ProcessTable::read(&proc).unwrap_or_default()).await;
        Arc::clone(seen.insert(Arc::new(read.unwrap_or_default())))
    }

    /// Carries the remedy out and tells of it. Says whether there is more to diagnose now.
    async fn act(
        &self,
        work: &mut Work,
        seen: &mut Seen,
        patient: &Patient,
        remedy: Remedy,
    ) -> bool {
        let uid = &patient.pod.uid;
        if remedy == Remedy::Delete
            && let Some(later) = self.not_yet(work)
        {
            debug!(pod = %patient.pod.name, "repair: is deleted later: {}", self.reason_to_wait());
            work.queue.postpone(uid, later);
            return false;
        }
        let history = work.queue.history(uid).cloned().unwrap_or_default();
        let outcome = self.treat(seen, patient, &history, remedy).await;
        match &outcome {
            Outcome::Done(_) => self.tell(&patient.pod, remedy, &outcome).await,
            Outcome::Skip(_) => {
                self.tell(&patient.pod, remedy, &outcome).await;
                work.queue.failed(uid, Instant::now());
                return false;
            }
            Outcome::Failed(why) | Outcome::Missed(why) => {
                self.fail(work, patient, remedy, &outcome, why).await;
                self.show(work, patient, &history).await;
                return false;
            }
        }
        self.tally.done();
        self.tally.sound(&patient.pod.name, uid);
        work.queue.worked(uid);
        if remedy == Remedy::Delete {
            work.next_deletion = Instant::now() + BETWEEN_DELETIONS;
        }
        self.learn(work, patient, remedy);
        true
    }

    /// Tells of a failure, and lets the pod wait. What could not even be tried is told anew only
    /// where it is new.
    async fn fail(
        &self,
        work: &mut Work,
        patient: &Patient,
        remedy: Remedy,
        outcome: &Outcome,
        why: &str,
    ) {
        let Pod { name, uid, .. } = &*patient.pod;
        self.tally.failed();
        let new = self.tally.broken(name, uid, why.to_owned());
        let now = Instant::now();
        let pause = match outcome {
            Outcome::Missed(_) => work.queue.missed(uid, now),
            _ => work.queue.failed(uid, now),
        };
        if new || !matches!(outcome, Outcome::Missed(_)) {
            self.tell(&patient.pod, remedy, outcome).await;
        }
        let (namespace, pod, again_in_s) = (&name.namespace, &name.name, pause.as_secs());
        info!(namespace, pod, again_in_s, "repair: waits");
    }

    /// Until when nothing is deleted: on a node without the plugin, the successor would be broken
    /// as well.
    fn not_yet(&self, work: &Work) -> Option<Instant> {
        let now = Instant::now();
        if !self.board.is_ready() {
            return Some(now + PATIENCE);
        }
        (work.next_deletion > now).then_some(work.next_deletion)
    }

    fn reason_to_wait(&self) -> &'static str {
        if self.board.is_ready() {
            "another was deleted just now"
        } else {
            "this node's plugin is not ready"
        }
    }

    /// Labels a pod that could not be mended, where that is asked for.
    async fn show(&self, work: &mut Work, patient: &Patient, history: &History) {
        let Some(remedy) = diagnosis::after_failure(&patient.pod, history, &self.settings) else {
            return;
        };
        let outcome = self.label(&patient.pod, remedy).await;
        self.tell(&patient.pod, remedy, &outcome).await;
        if matches!(outcome, Outcome::Done(_)) {
            self.learn(work, patient, remedy);
        }
    }

    /// Remembers what was done, which the API server tells later.
    fn learn(&self, work: &mut Work, patient: &Patient, remedy: Remedy) {
        let Some(history) = work.queue.history(&patient.pod.uid) else {
            return;
        };
        match remedy {
            Remedy::InPlace => {
                history.saw(Sight::of(&patient.pod, Rules::Whole, &self.settings));
            }
            Remedy::Delete => history.deleted = true,
            Remedy::Label => history.labelled = Some(true),
            Remedy::Unlabel => history.labelled = Some(false),
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
