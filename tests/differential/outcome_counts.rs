//! Counts the outcomes of a run's packets, to check that the run covers all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use mesh_cni_netfilter::walk::{Location, Outcome};

use crate::test_packet::TestPacket;

/// The outcomes that a run of some hundred packets must reach.
const OUTCOMES: [&str; 7] = [
    "captured outbound",
    "captured inbound",
    "handed over",
    "captured query",
    "to the pod as addressed",
    "through the pod as addressed",
    "out as addressed",
];

/// Counts by outcome.
#[derive(Default)]
pub(super) struct OutcomeCounts(Mutex<BTreeMap<&'static str, u64>>);

impl OutcomeCounts {
    pub(super) fn count(&self, outcome: &Outcome, packet: &TestPacket) {
        *self
            .0
            .lock()
            .unwrap()
            .entry(name(outcome, packet))
            .or_default() += 1;
    }

    /// The outcomes that no packet reached.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let counts = self.0.lock().unwrap();
        let missing = OUTCOMES
            .into_iter()
            .filter(|outcome| !counts.contains_key(outcome));
        missing.collect()
    }
}

fn name(outcome: &Outcome, packet: &TestPacket) -> &'static str {
    match outcome {
        Outcome::Redirected { port, .. } => match port.get() {
            15053 => "captured query",
            15006 | 25006 => "captured inbound",
            _ => "captured outbound",
        },
        Outcome::Tproxied { .. } => "handed over",
        Outcome::NotRedirected { location, .. } => match location {
            Location::Local => "to the pod as addressed",
            Location::Remote(_) if packet.is_from_the_pod() => "out as addressed",
            Location::Remote(_) => "through the pod as addressed",
        },
        _ => "nowhere",
    }
}

impl fmt::Display for OutcomeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap();
        write!(f, "{} pairs", counts.values().sum::<u64>())?;
        for (outcome, count) in counts.iter() {
            write!(f, ", {count} {outcome}")?;
        }
        Ok(())
    }
}
