//! The pods that are enrolled, should be, or leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use mesh_cni_agent_api::EnrolmentRefusal;
use mesh_cni_kube::pod::Pod;
use mesh_cni_plan::MeshConf;
use tokio::time::Instant;
use tracing::warn;

use super::entry::{self, Entry};
use super::hand_over::HandOver;
use super::problem::{Cause, Problem};
use super::records::{Record, Records};
use super::step::{Goal, Part};
use super::wanted::{Wanted, wanted};
use crate::kube::pods::Changes;
use crate::kube::store::PodStore;

/// The pods by their UIDs.
pub(super) struct Ledger {
    pub(super) entries: BTreeMap<String, Entry>,
    /// The pods whose next step may be another one than before.
    pub(super) touched: BTreeSet<String>,
    records: Records,
    store: Arc<PodStore>,
    conf: MeshConf,
}

impl Ledger {
    /// Without pods. The records are in that run directory.
    pub(super) fn open(run_dir: &Path, store: Arc<PodStore>, conf: MeshConf) -> io::Result<Self> {
        Ok(Self {
            entries: BTreeMap::new(),
            touched: BTreeSet::new(),
            records: Records::open(run_dir)?,
            store,
            conf,
        })
    }

    /// The pods of the records and of the API server.
    pub(super) fn load(&mut self, pods: &[Arc<Pod>]) {
        match self.records.load() {
            Ok(records) => {
                for (uid, record) in records {
                    self.entries.insert(uid, Entry::new(record, Goal::Ended));
                }
            }
            Err(error) => warn!("ambient: the records cannot be read: {error}"),
        }
        for pod in self.store.with_namespaces(pods) {
            self.evaluate(&pod);
        }
    }

    /// Pods were created, changed or deleted.
    pub(super) fn change(&mut self, changes: &Changes) {
        for pod in &changes.deleted {
            self.touched.insert(pod.uid.clone());
            if let Some(entry) = self.entries.get_mut(&pod.uid) {
                entry.set_goal(Goal::Ended);
            }
        }
        for pod in self.store.with_namespaces(&changes.applied) {
            self.evaluate(&pod);
            if let Some(entry) = self.entries.get_mut(&pod.uid) {
                entry.check_again();
            }
        }
    }

    /// The labels of namespaces may have changed.
    pub(super) fn evaluate_all(&mut self) {
        for pod in self.store.with_namespaces(&self.store.all()) {
            self.evaluate(&pod);
        }
    }

    /// What the pod should become. Its facts include what is known of its namespace.
    fn evaluate(&mut self, pod: &Pod) {
        self.touched.insert(pod.uid.clone());
        let addresses = match self.entries.get(&pod.uid) {
            // The kubelet has not reported those of a pod that starts.
            Some(entry) if pod.addresses().is_empty() => &entry.record.addresses,
            _ => pod.addresses(),
        };
        let (goal, expected, undecided) = match wanted(pod, addresses, &self.conf) {
            Wanted::Enrolled(expected) => (Goal::Enrolled, Some(expected), None),
            Wanted::Not => (Goal::Left, None, None),
            Wanted::Undecided(why) => (Goal::Undecided, None, Some(why)),
        };
        if !self.entries.contains_key(&pod.uid) {
            let is_annotated = pod.redirection.is_some();
            let can_start = goal == Goal::Enrolled && !pod.addresses().is_empty() && !pod.deleting;
            if !(is_annotated || can_start) {
                return;
            }
            let record = Record::of(pod, pod.addresses());
            if !self.save(&pod.uid, &record) {
                return;
            }
            self.entries
                .insert(pod.uid.clone(), Entry::new(record, goal));
        }
        let Some(entry) = self.entries.get_mut(&pod.uid) else {
            return;
        };
        if entry.goal == Goal::Ended && pod.addresses().is_empty() {
            // Its ADD failed, and the next one enrols it again.
            return;
        }
        entry.set_goal(goal);
        if let Some(expected) = expected {
            entry.expect(expected);
        }
        if let Some(why) = undecided {
            let remedy =
                "the agent changes nothing until it can decide: correct the pod's settings";
            entry.set_problem(Cause::Settings, Problem { why, remedy }, Instant::now());
        }
        if entry.observe(pod) {
            let record = entry.record.clone();
            self.save(&pod.uid, &record);
        }
    }

    /// Keeps the record of a pod. Returns whether that worked.
    fn save(&self, uid: &str, record: &Record) -> bool {
        let saved = self.records.save(uid, record);
        if let Err(error) = &saved {
            warn!(
                pod_uid = uid,
                "ambient: the record cannot be written: {error}"
            );
        }
        saved.is_ok()
    }

    /// Enrols a pod that starts. Its rules are written.
    pub(super) fn start(&mut self, hand_over: HandOver, pod: Option<&Pod>) {
        let HandOver {
            enrolment,
            netns,
            until,
            answer,
        } = hand_over;
        let refuse = |reason: String, remedy: &str| EnrolmentRefusal {
            reason,
            remedy: remedy.to_owned(),
            is_temporary: true,
        };
        let refusal = match pod {
            None => refuse(
                "the agent's watch does not have the pod".to_owned(),
                "nothing to do: the kubelet tries again",
            ),
            Some(pod) => match wanted(pod, &enrolment.addresses, &self.conf) {
                Wanted::Enrolled(expected) => {
                    let record = Record::of(pod, &enrolment.addresses);
                    if self.save(&pod.uid, &record) {
                        let entry = self.entries.entry(pod.uid.clone());
                        let entry =
                            entry.or_insert_with(|| Entry::new(record.clone(), Goal::Enrolled));
                        self.touched.insert(pod.uid.clone());
                        entry.record = record;
                        entry.reset_failures();
                        entry.set_goal(Goal::Enrolled);
                        entry.expect(expected);
                        entry.open(Arc::new(netns), Part::Present);
                        entry.probes = Part::Missing;
                        entry.annotation = entry::annotation(pod);
                        entry.wait(answer, until);
                        return;
                    }
                    refuse(
                        "the record of the pod cannot be written".to_owned(),
                        "see the log of the mesh-cni pod of the node",
                    )
                }
                Wanted::Not => refuse(
                    "by what the agent knows, the pod is not in ambient mode".to_owned(),
                    "start the agent with the same entry as the plugin; a label that has just \
                     changed needs another attempt",
                ),
                Wanted::Undecided(why) => refuse(why, "nothing to do: the kubelet tries again"),
            },
        };
        // A plugin that has ended needs no answer.
        drop(answer.send(Err(refusal)));
    }

    /// Every pod is read again, and those that were deleted without notice end.
    pub(super) fn check_again(&mut self) {
        let pods = self.store.all();
        let known: BTreeSet<_> = pods.iter().map(|pod| pod.uid.as_str()).collect();
        self.touch_all();
        for (uid, entry) in &mut self.entries {
            if !known.contains(uid.as_str()) {
                entry.set_goal(Goal::Ended);
            }
            entry.check_again();
        }
    }

    /// Every pod may have another next step.
    pub(super) fn touch_all(&mut self) {
        self.touched.extend(self.entries.keys().cloned());
    }

    /// Nothing of the pod is left.
    pub(super) fn remove(&mut self, uid: &str) {
        if let Err(error) = self.records.remove(uid) {
            warn!(
                pod_uid = uid,
                "ambient: the record cannot be removed: {error}"
            );
        }
        self.entries.remove(uid);
    }
}
