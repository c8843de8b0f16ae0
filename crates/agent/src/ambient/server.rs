//! The actor that owns the ledger: it receives what happens, and carries out one step after the other for
//! each pod. What blocks or waits runs in tasks, so that no pod delays another.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_cni_kube::pod::Pod;
use mesh_cni_netns::{BackendChoice, OwnedAddress};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::entry::Entry;
use super::hand_over::HandOver;
use super::kernel::Kernel;
use super::ledger::Ledger;
use super::problem::Problem;
use super::sockets::Sockets;
use super::states::AmbientStates;
use super::step::{Goal, Namespace, Part, Step};
use super::task::Outcome;
use super::ztunnels::{ZtunnelConnections, ZtunnelEvent};
use super::{AmbientSettings, ROUND};
use crate::error_chain;
use crate::http::routes::Agent;
use crate::kube::lookup::FactsLookup;
use crate::metrics::Change;
use crate::readiness::{Check, Readiness};
use crate::repair::until;
use crate::warnings::Warnings;

/// How many steps enter namespaces at the same time.
const MAX_THREADS: usize = 4;

/// How many events wait for the actor.
const BACKLOG: usize = 64;

/// The ambient mode of this node.
pub(crate) struct Server {
    settings: AmbientSettings,
    run_dir: PathBuf,
    pub(super) lookup: FactsLookup,
    pub(super) readiness: Arc<Readiness>,
    pub(super) kernel: Kernel,
    pub(super) states: Arc<AmbientStates>,
    pub(super) warnings: Option<Arc<Warnings>>,
    /// Since when no ztunnel has received every pod.
    pub(super) without_ztunnel_since: Option<Instant>,
    pub(super) round: Round,
    pub(super) ledger: Ledger,
    pub(super) ztunnels: ZtunnelConnections,
    ztunnel_events: mpsc::Receiver<ZtunnelEvent>,
    pub(super) tasks: JoinSet<Finished>,
    pub(super) threads: Arc<Semaphore>,
}

/// A check of every pod.
#[derive(Default)]
pub(super) struct Round {
    is_open: bool,
    /// The pods that are not checked yet.
    pub(super) unchecked: BTreeSet<String>,
    /// Whether the set for probes is checked.
    has_probes: bool,
}

/// What a task found or did.
pub(super) enum Finished {
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
        states: Arc<AmbientStates>,
    ) -> io::Result<Self> {
        let (events, ztunnel_events) = mpsc::channel(BACKLOG);
        let namespaces = Arc::clone(&agent.namespaces);
        Ok(Self {
            kernel: Kernel::new(namespaces, backend, &settings.probe_sources),
            settings,
            run_dir: run_dir.to_owned(),
            lookup: agent.lookup.clone(),
            readiness: Arc::clone(&agent.readiness),
            states,
            warnings: agent.warnings.clone(),
            without_ztunnel_since: None,
            round: Round::default(),
            ledger: Ledger::open(run_dir, Arc::clone(&agent.store), agent.conf.clone())?,
            ztunnels: ZtunnelConnections::new(events),
            ztunnel_events,
            tasks: JoinSet::new(),
            threads: Arc::new(Semaphore::new(MAX_THREADS)),
        })
    }

    /// Serves until the task is dropped.
    pub(crate) async fn run(mut self) {
        // Until the pods of the node are known, no ztunnel may connect: it would stop serving the pods that
        // are missing from its snapshot.
        self.readiness.wait_for(Check::Watch).await;
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
        let mut events = Vec::new();
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.advance();
            let deadline = self.ztunnels.pods.deadline().map(Instant::from_std);
            let attempts = self.ledger.entries.values().filter_map(Entry::wake);
            let degraded = self.no_ztunnel_time();
            let wake = deadline.into_iter().chain(attempts).chain(degraded).min();
            tokio::select! {
                // A ztunnel acknowledges every pod, so several events are handled before all pods advance.
                _ = self.ztunnel_events.recv_many(&mut events, BACKLOG) => {
                    for event in events.drain(..) {
                        self.ztunnels.handle(event);
                    }
                    self.ledger.touch_all();
                }
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
                () = until(wake) => {
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        self.ztunnels.pods.expire(Instant::now().into_std());
                        self.ledger.touch_all();
                    }
                }
            }
        }
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
        let is_unchecked =
            |entry: &Entry| entry.goal == Goal::Enrolled && entry.rules == Part::Unknown;
        let unchecked = self
            .ledger
            .entries
            .iter()
            .filter(|(_, entry)| is_unchecked(entry));
        self.round = Round {
            is_open: true,
            unchecked: unchecked.map(|(uid, _)| uid.clone()).collect(),
            has_probes: false,
        };
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

    /// Ends the check of every pod, if it is complete.
    pub(super) fn end_round(&mut self) {
        let Round {
            is_open,
            unchecked,
            has_probes,
        } = &mut self.round;
        if *is_open && *has_probes && unchecked.is_empty() {
            *is_open = false;
            self.states.set_checked();
        }
    }

    fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Found { hand_over, pod } => self.ledger.start(hand_over, pod.as_deref()),
            Finished::Probes(Ok(found)) => {
                for (uid, entry) in &mut self.ledger.entries {
                    if entry.running.is_none() && entry.goal == Goal::Enrolled {
                        let wanted = self.kernel.probe_addresses(uid, &entry.record);
                        let is_complete = wanted.iter().all(|wanted| found.contains(wanted));
                        if !is_complete {
                            entry.probes = Part::Missing;
                            self.ledger.touched.insert(uid.clone());
                        }
                    }
                }
                self.round.has_probes = true;
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
        self.ledger.touched.insert(uid.to_owned());
        if matches!(step, Step::FindNamespace | Step::CheckRules) {
            self.round.unchecked.remove(uid);
        }
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return;
        };
        entry.running = None;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(problem) => return self.failed(uid, step, problem),
        };
        let metrics = &self.lookup.metrics.ambient;
        match (step, outcome) {
            (_, Outcome::Namespace(netns)) => entry.open(Arc::new(netns), Part::Unknown),
            (_, Outcome::Checked(namespace, rules)) => {
                if namespace == Namespace::Dead {
                    warn!(pod = %entry.name(), "ambient: the pod's sandbox has ended");
                    entry.netns = None;
                } else if rules == Part::Missing && entry.annotation == Part::Present {
                    warn!(pod = %entry.name(), "ambient: the rules differ and are written again");
                    metrics.changed(Change::Repair);
                }
                (entry.namespace, entry.rules) = (namespace, rules);
            }
            (Step::WriteRules, _) => entry.rules = Part::Present,
            (Step::RemoveRules, _) => entry.rules = Part::Missing,
            (Step::AddProbes, _) => entry.probes = Part::Present,
            (Step::RemoveProbes, _) => entry.probes = Part::Missing,
            (Step::Annotate, _) => {
                entry.annotation = Part::Present;
                metrics.changed(Change::Enrol);
                info!(pod = %entry.name(), "ambient: enrolled");
            }
            (Step::RemoveAnnotation, _) => {
                entry.annotation = Part::Missing;
                metrics.changed(Change::Leave);
                info!(pod = %entry.name(), "ambient: left");
            }
            _ => {}
        }
        entry.succeed(step);
    }

    pub(super) fn failed(&mut self, uid: &str, step: Step, problem: Problem) {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return;
        };
        let Problem { why, remedy } = problem.clone();
        let (name, failures) = (entry.name(), entry.failures);
        if entry.fail(step, problem, Instant::now()) {
            warn!(pod = %name, ?step, remedy, "ambient: {why}");
        } else {
            debug!(pod = %name, ?step, failures, "ambient: {why}");
        }
        entry.refuse(&why, remedy);
    }
}
