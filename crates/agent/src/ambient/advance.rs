//! Carries out the next steps of the pods for which something happened, and publishes their states.

use std::sync::Arc;

use mesh_cni_agent_api::AmbientPod;
use tokio::time::Instant;
use tracing::warn;

use super::PAUSE;
use super::problem::{BROKEN_AFTER, Cause, Problem};
use super::server::{Finished, Server};
use super::step::{Goal, Namespace, Proxy, Step, next};
use super::task::Task;

impl Server {
    /// Carries out what can be done at once, and starts the rest.
    pub(super) fn advance(&mut self) {
        let now = Instant::now();
        for (uid, entry) in &self.ledger.entries {
            if entry.wake().is_some_and(|wake| wake <= now) {
                self.ledger.touched.insert(uid.clone());
            }
        }
        let touched = std::mem::take(&mut self.ledger.touched);
        for uid in &touched {
            while self.advance_pod(uid) {}
        }
        let refused = self.ztunnels.send();
        for (uid, why) in &refused {
            let remedy = "check that the pod's namespace has a loopback interface that is up, and the \
                          log of ztunnel";
            let why = format!("ztunnel: {why}");
            self.failed(uid, Step::Serve, Problem { why, remedy });
        }
        for uid in touched.iter().chain(refused.iter().map(|(uid, _)| uid)) {
            self.publish(uid);
        }
        self.publish_ztunnels();
        self.end_round();
    }

    /// Carries out the next step of a pod. Returns whether another may follow at once.
    fn advance_pod(&mut self, uid: &str) -> bool {
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            return false;
        };
        let now = Instant::now();
        if entry.is_overdue(now) {
            let step = entry.running;
            let Problem { why, remedy } = self.ztunnels.delay(uid, step);
            entry.refuse(&why, remedy);
        }
        if !entry.take_turn(now) {
            return false;
        }
        let proxy = self.ztunnels.proxy(uid, entry.is_asked_to_serve);
        if proxy == Proxy::Served {
            entry.clear_problem(Cause::Ztunnel);
        }
        match next(entry.goal, entry.actual(proxy)) {
            Step::Settled => {
                entry.accept();
                false
            }
            Step::Wait => {
                if entry.goal == Goal::Enrolled {
                    entry.set_problem(Cause::Ztunnel, self.ztunnels.delay(uid, None), now);
                }
                false
            }
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
                let (why, remedy) = (error.to_string(), "use shorter names");
                self.failed(uid, Step::Serve, Problem { why, remedy });
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

    /// Publishes the state of the pod, and reports a problem that lasts.
    fn publish(&mut self, uid: &str) {
        let now = Instant::now();
        let Some(entry) = self.ledger.entries.get_mut(uid) else {
            self.round.unchecked.remove(uid);
            return self.states.remove(uid);
        };
        if entry.goal != Goal::Enrolled {
            self.round.unchecked.remove(uid);
        }
        let (name, proxy) = (
            entry.name(),
            self.ztunnels.proxy(uid, entry.is_asked_to_serve),
        );
        if let Some(open_problem) = &mut entry.open_problem
            && open_problem.take_report(now)
        {
            warn!(pod = %name, "ambient: it is broken: {open_problem}");
            self.lookup.metrics.ambient.failed(open_problem.cause);
            if let Some(warnings) = &self.warnings {
                warnings.add_enrolment_failure(&name, uid, open_problem);
            }
        }
        let pod = AmbientPod {
            state: entry.state(proxy, now),
            detail: entry.open_problem.as_ref().map(ToString::to_string),
        };
        self.states.set(uid, name, pod);
    }

    /// When the agent becomes degraded because no ztunnel is connected.
    pub(super) fn no_ztunnel_time(&self) -> Option<Instant> {
        let time = self.without_ztunnel_since? + BROKEN_AFTER;
        (time > Instant::now()).then_some(time)
    }

    fn publish_ztunnels(&mut self) {
        let count = self.ztunnels.live();
        self.states.set_ztunnels(count);
        let why = "no ztunnel is connected to the agent: pods in ambient mode do not start, and connections \
                   of those that run are refused";
        if count > 0 {
            self.without_ztunnel_since = None;
            self.readiness.set_degraded("ambient ztunnel", None);
            return;
        }
        let since = *self.without_ztunnel_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= BROKEN_AFTER
            && self.readiness.set_degraded("ambient ztunnel", Some(why))
        {
            warn!("ambient: {why}");
        }
    }
}
