//! Whether a back end could work on this machine, without touching a namespace.

use crate::backend::{Backend, BackendChoice, BackendError};
use crate::nf_tables;
use crate::xtables::Xtables;

/// What one back end says of itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The back end.
    pub backend: Backend,
    /// Why it cannot work, if it cannot.
    pub verdict: Result<(), BackendError>,
}

/// Asks every back end, in the order in which `auto` tries them.
pub fn probe(xtables: &Xtables) -> Vec<Probe> {
    let probed = Backend::ALL.into_iter().map(|backend| Probe {
        backend,
        verdict: verdict(xtables, backend),
    });
    probed.collect()
}

/// The first of the chosen back ends that could work; the first refusal where none could.
pub fn available(xtables: &Xtables, choice: BackendChoice) -> Result<Backend, BackendError> {
    let mut refusal = None;
    for backend in choice.candidates() {
        match verdict(xtables, backend) {
            Ok(()) => return Ok(backend),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.expect("there is always a candidate"))
}

fn verdict(xtables: &Xtables, backend: Backend) -> Result<(), BackendError> {
    let failed = |source| BackendError::NfTables { backend, source };
    match backend {
        Backend::Netlink => nf_tables::answers_with_extensions().map_err(failed),
        Backend::NftNative => nf_tables::answers().map_err(failed),
        Backend::IptablesNft | Backend::IptablesLegacy => Ok(xtables.has(backend)?),
    }
}
