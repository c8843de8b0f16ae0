//! The actor that owns the ledger: it receives what happens, and carries out one step after the other for
//! each pod. What blocks or waits runs in tasks, so that no pod delays another.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_kube::pod::Pod;
use mesh_cni_netns::{BackendChoice, OwnedAddress};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::entry::{Entry, Problem};
use super::hand_over::HandOver;
use super::kernel::Kernel;
use super::ledger::Ledger;
use super::sockets::Sockets;
use super::step::{Goal, Namespace, Part, Proxy, Step, next};
use super::task::{Outcome, Task};
use super::ztunnels::{ZtunnelConnections, ZtunnelEvent};
use super::{AmbientSettings, PAUSE};
use crate::error_chain;
use crate::http::routes::Agent;
use crate::kube::lookup::FactsLookup;
use crate::readiness::{Check, Readiness};
use crate::repair::until;

/// The time between two checks of everything.
const ROUND: Duration = Duration::from_secs(30);

/// How many steps enter namespaces at the same time.
const MAX_THREADS: usize = 4;

/// How many events wait for the actor.
const BACKLOG: usize = 64;

/// The ambient mode of this node.
pub(crate) struct Server {
    settings: AmbientSettings,
    run_dir: PathBuf,
    lookup: FactsLookup,
    readiness: Arc<Readiness>,
    kernel: Kernel,
    ledger: Ledger,
    ztunnels: ZtunnelConnections,
    ztunnel_events: mpsc::Receiver<ZtunnelEvent>,
    tasks: JoinSet<Finished>,
    threads: Arc<Semaphore>,
}

/// What a task found or did.
enum Finished {
    Step {
        uid: String,
        step: Step,
        result: Result<Outcome, Problem>,
    },
    /// The pod of a plugin's request.
    Found {
        hand_over: HandOver,
        pod: Option<Arc<Pod>>,
    },
    /// The addresses in the set for probes.
    Probes(Result<Vec<OwnedAddress>, String>),
}

impl Server {
    /// For the pods of that agent. Its records are in the run directory.
    pub(crate) fn new(
        settings: AmbientSettings,
        run_dir: &Path,
        agent: &Agent,
        backend: BackendChoice,
    ) -> io::Result<Self> {
        let (events, ztunnel_events) = mpsc::channel(BACKLOG);
        let namespaces = Arc::clone(&agent.namespaces);
        Ok(Self {
            kernel: Kernel::new(namespaces, backend, &settings.probe_sources),
            settings,
            run_dir: run_dir.to_owned(),
            lookup: agent.lookup.clone(),
            readiness: Arc::clone(&agent.readiness),
            ledger: Ledger::open(run_dir, Arc::clone(&agent.store), agent.conf.clone())?,
            ztunnels: ZtunnelConnections::new(events),
            ztunnel_events,
            tasks: JoinSet::new(),
            threads: Arc::new(Semaphore::new(MAX_THREADS)),
        })
    }

    /// Serves until the task is dropped.
    pub(crate) async fn run(mut self) {
        self.wait_for_pods().await;
        let store = Arc::clone(&self.lookup.store);
        let mut changes = store.subscribe();
        let mut namespaces = store.namespace_events();
        let known = changes.next().await;
        self.ledger.load(&known.applied);
        self.keep_all();
        let (sender, mut hand_overs) = mpsc::channel(BACKLOG);
        let mut sockets = Sockets::new(
            &self.settings.ztunnel_socket,
            &self.run_dir,
            self.ztunnels.events(),
            sender,
        );
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.advance();
            let deadline = self.ztunnels.pods.deadline().map(Instant::from_std);
            let attempts = self.ledger.entries.values().filter_map(Entry::wake);
            let wake = deadline.into_iter().chain(attempts).min();
            tokio::select! {
                Some(event) = self.ztunnel_events.recv() => self.ztunnels.handle(event),
                Some(hand_over) = hand_overs.recv() => self.find(hand_over),
                Some(finished) = self.tasks.join_next() => match finished {
                    Ok(finished) => self.finished(finished),
                    Err(error) => warn!("ambient: a step ended without a result: {error}"),
                },
                changes = changes.next() => self.ledger.change(&changes),
                _ = namespaces.changed() => self.ledger.evaluate_all(),
                _ = round.tick() => {
                    self.check_all();
                    self.listen(&mut sockets);
                }
                () = until(wake) => self.ztunnels.pods.expire(Instant::now().into_std()),
            }
        }
    }

    /// Waits until the pods of the node are known. Until then no ztunnel may connect: it would stop
    /// serving the pods that are missing from its snapshot.
    async fn wait_for_pods(&self) {
        let watch = || self.readiness.get(Check::Watch);
        let are_known = |(): &()| watch().is_some_and(|state| state.ready);
        drop(self.readiness.changes().wait_for(are_known).await);
    }

    /// Serves the pods that this agent knows from before, without their namespaces, so that a ztunnel
    /// that connects keeps them.
    fn keep_all(&mut self) {
        for (uid, entry) in &self.ledger.entries {
            if entry.goal != Goal::Ended {
                drop(self.ztunnels.pods.serve(uid, entry.record.workload(), None));
            }
        }
    }

    /// Listens on both sockets, or again if another program removed one.
    fn listen(&mut self, sockets: &mut Sockets) {
        let why = sockets.listen();
        if self.readiness.set_degraded("ambient", why.as_deref())
            && let Some(why) = why
        {
            warn!("{why}");
        }
    }

    /// Finds the pod of a plugin's request, which the watch may not know yet.
    fn find(&mut self, hand_over: HandOver) {
        let lookup = self.lookup.clone();
        self.tasks.spawn(async move {
            let pod = hand_over.pod(&lookup).await;
            Finished::Found { hand_over, pod }
        });
    }

    /// Everything of every pod is read again.
    fn check_all(&mut self) {
        self.ledger.check_again();
        let kernel = self.kernel.clone();
        let owners: BTreeSet<_> = self.ledger.entries.keys().cloned().collect();
        self.tasks.spawn(async move {
            let refresh = move || kernel.refresh_probes(|owner| owners.contains(owner));
            let refreshed = spawn_blocking(refresh).await;
            Finished::Probes(match refreshed {
                Ok(refreshed) => refreshed.map_err(|error| error_chain(&error)),
                Err(error) => Err(error_chain(&error)),
            })
        });
    }

    fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Found { hand_over, pod } => self.ledger.start(hand_over, pod.as_deref()),
            Finished::Probes(Ok(found)) => {
                for (uid, entry) in &mut self.ledger.entries {
                    if entry.running.is_none() && entry.goal == Goal::Enrolled {
                        let wanted = self.kernel.probe_addresses(uid, &entry.record);
                        let is_complete = wanted.iter().all(|wanted| found.contains(wanted));
                        entry.probes = if is_complete {
                            entry.probes
                        } else {
                            Part::Missing
                        };
                    }
                }
                self.readiness.set_degraded("ambient probes", None);
            }
            Finished::Probes(Err(why)) => {
                let why = format!("probes of pods in ambient mode: {why}");
                if self.readiness.set_degraded("ambient probes", Some(&why)) {
                    warn!("{why}");
                }
            }
            Finished::Step { uid, step, result } => self.stepped(&uid, step, result),
        }
    }

    fn stepped(&mut self, uid: &str, step: Step, result: Result<Outcome, Problem>) {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return;
        };
        entry.running = None;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(problem) => return self.failed(uid, step, problem),
        };
        entry.retry_now();
        match (step, outcome) {
            (_, Outcome::Namespace(netns)) => entry.open(Arc::new(netns), Part::Unknown),
            (_, Outcome::Checked(namespace, rules)) => {
                if namespace == Namespace::Dead {
                    warn!(pod = %entry.name(), "ambient: the pod's sandbox has ended");
                    entry.netns = None;
                } else if rules == Part::Missing && entry.annotation == Part::Present {
                    warn!(pod = %entry.name(), "ambient: the rules differ and are written again");
                }
                (entry.namespace, entry.rules) = (namespace, rules);
            }
            (Step::WriteRules, _) => entry.rules = Part::Present,
            (Step::RemoveRules, _) => entry.rules = Part::Missing,
            (Step::AddProbes, _) => entry.probes = Part::Present,
            (Step::RemoveProbes, _) => entry.probes = Part::Missing,
            (Step::Annotate, _) => {
                entry.annotation = Part::Present;
                info!(pod = %entry.name(), "ambient: enrolled");
            }
            (Step::RemoveAnnotation, _) => {
                entry.annotation = Part::Missing;
                info!(pod = %entry.name(), "ambient: left");
            }
            _ => {}
        }
    }

    fn failed(&mut self, uid: &str, step: Step, problem: Problem) {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return;
        };
        let Problem { why, remedy } = problem.clone();
        let (name, failures) = (entry.name(), entry.failures);
        if entry.fail(problem, Instant::now()) {
            warn!(pod = %name, ?step, remedy, "ambient: {why}");
        } else {
            debug!(pod = %name, ?step, failures, "ambient: {why}");
        }
        entry.refuse(&why, remedy);
    }

    /// Carries out what can be done at once, and starts the rest.
    fn advance(&mut self) {
        let uids: Vec<_> = self.ledger.entries.keys().cloned().collect();
        for uid in uids {
            while self.advance_pod(&uid) {}
        }
        for (uid, why) in self.ztunnels.send() {
            let remedy = "check that the pod's namespace has a loopback interface that is up, and the \
                          log of ztunnel";
            self.failed(
                &uid,
                Step::Serve,
                Problem {
                    why: format!("ztunnel: {why}"),
                    remedy,
                },
            );
        }
    }

    /// Carries out the next step of a pod. Returns whether another may follow at once.
    fn advance_pod(&mut self, uid: &str) -> bool {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return false;
        };
        if entry.is_overdue(Instant::now()) {
            let step = entry.running;
            let (why, remedy) = self.ztunnels.delay(uid, step);
            entry.refuse(&why, remedy);
        }
        if !entry.take_turn(Instant::now()) {
            return false;
        }
        let proxy = self.ztunnels.proxy(uid, entry.is_asked_to_serve);
        match next(entry.goal, entry.actual(proxy)) {
            Step::Settled => {
                entry.accept();
                false
            }
            Step::Wait => false,
            Step::Serve => self.serve(uid, proxy),
            Step::Forget => {
                entry.is_asked_to_serve = false;
                self.ztunnels.pods.forget(uid);
                true
            }
            Step::Drop => {
                self.ledger.remove(uid);
                false
            }
            step => {
                self.begin(uid, step);
                false
            }
        }
    }

    fn serve(&mut self, uid: &str, proxy: Proxy) -> bool {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return false;
        };
        let workload = entry.record.workload();
        let netns = entry
            .netns
            .clone()
            .filter(|_| entry.namespace == Namespace::Alive);
        entry.is_asked_to_serve = netns.is_some();
        match self.ztunnels.pods.serve(uid, workload, netns) {
            // A ztunnel that refused it is asked again after a while.
            Ok(()) if proxy == Proxy::Refused => {
                entry.next_attempt = Some(Instant::now() + PAUSE);
                false
            }
            Ok(()) => true,
            Err(error) => {
                let remedy = "use shorter names";
                self.failed(
                    uid,
                    Step::Serve,
                    Problem {
                        why: error.to_string(),
                        remedy,
                    },
                );
                false
            }
        }
    }

    /// Starts a step that blocks or waits.
    fn begin(&mut self, uid: &str, step: Step) {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return;
        };
        entry.running = Some(step);
        let uid = uid.to_owned();
        let task = Task {
            pod: self.lookup.store.by_uid(&uid),
            name: entry.name(),
            record: entry.record.clone(),
            netns: entry.netns.clone(),
            expected: entry.expected.clone(),
            kernel: self.kernel.clone(),
            lookup: self.lookup.clone(),
        };
        let threads = Arc::clone(&self.threads);
        self.tasks.spawn(async move {
            let _turn = threads.acquire_owned().await;
            let result = task.carry_out(step, &uid).await;
            Finished::Step { uid, step, result }
        });
    }
}
