//! How many packets of a run ended how: a run in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use mesh_cni_netfilter::walk::{Location, Outcome};

use crate::errand::Errand;

/// Every end that a run of some hundred packets comes to.
const ENDS: [&str; 7] = [
    "captured outbound",
    "captured inbound",
    "handed over",
    "captured query",
    "to the pod as addressed",
    "through the pod as addressed",
    "out as addressed",
];

/// Counts by end.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub(super) fn count(&self, fate: &Outcome, errand: &Errand) {
        *self.0.lock().unwrap().entry(end(fate, errand)).or_default() += 1;
    }

    /// The ends to which no packet came.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let counts = self.0.lock().unwrap();
        let missing = ENDS.into_iter().filter(|end| !counts.contains_key(end));
        missing.collect()
    }
}

fn end(fate: &Outcome, errand: &Errand) -> &'static str {
    match fate {
        Outcome::Redirected { port, .. } => match port.get() {
            15053 => "captured query",
            15006 | 25006 => "captured inbound",
            _ => "captured outbound",
        },
        Outcome::Tproxied { .. } => "handed over",
        Outcome::NotRedirected { location, .. } => match location {
            Location::Local => "to the pod as addressed",
            Location::Remote(_) if errand.is_from_the_pod() => "out as addressed",
            Location::Remote(_) => "through the pod as addressed",
        },
        _ => "nowhere",
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap();
        write!(f, "{} pairs", counts.values().sum::<u64>())?;
        for (end, count) in counts.iter() {
            write!(f, ", {count} {end}")?;
        }
        Ok(())
    }
}
