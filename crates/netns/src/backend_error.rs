//! The error of a back end.

use thiserror::Error;

use crate::backend::Backend;
use crate::nf_tables::NfTablesError;
use crate::xtables::XtablesError;

/// Why a back end failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A back end that sends netlink messages to the kernel.
    #[error("{backend}")]
    NfTables {
        /// The back end.
        backend: Backend,
        /// The cause.
        #[source]
        source: NfTablesError,
    },
    /// A back end that runs the host's programs.
    #[error(transparent)]
    Xtables(#[from] XtablesError),
}
