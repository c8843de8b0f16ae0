//! Finds out which back ends can work on this machine, without changing a namespace.

use crate::backend::{Backend, BackendChoice};
use crate::backend_error::BackendError;
use crate::modules::missing_legacy;
use crate::nf_tables;
use crate::xtables::{Xtables, XtablesError};

/// The first of the chosen back ends that can work, or the first error if none can.
pub fn available(xtables: &Xtables, choice: BackendChoice) -> Result<Backend, BackendError> {
    let mut first_error = None;
    for backend in choice.candidates() {
        match probe(xtables, backend) {
            Ok(()) => return Ok(backend),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.expect("every choice has a candidate"))
}

/// Why the back end cannot work, if it cannot. It starts no program, except one whose name does not
/// contain its kind, to print its version.
pub(crate) fn probe(xtables: &Xtables, backend: Backend) -> Result<(), BackendError> {
    match backend {
        Backend::Netlink => nf_tables::check_extensions(),
        Backend::NftNative => nf_tables::check(),
        // Programs also need what they ask the kernel for.
        Backend::IptablesNft => {
            xtables.has(backend)?;
            nf_tables::check_extensions()
        }
        Backend::IptablesLegacy => {
            xtables.has(backend)?;
            return match missing_legacy() {
                Some(modules) if !modules.is_empty() => {
                    Err(XtablesError::NoKernel { backend, modules }.into())
                }
                _ => Ok(()),
            };
        }
    }
    .map_err(|source| BackendError::NfTables { backend, source })
}
