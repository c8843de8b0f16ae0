//! The error of a back end.

use nix::errno::Errno;
use thiserror::Error;

use crate::backend::Backend;
use crate::modules;
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

impl BackendError {
    /// The back end that failed.
    pub fn backend(&self) -> Backend {
        match self {
            Self::NfTables { backend, .. } => *backend,
            Self::Xtables(error) => error.backend(),
        }
    }

    /// The kernel modules that the back end, or the refused rule, needs. Empty if loading modules does
    /// not help.
    pub fn needed_modules(&self) -> Vec<String> {
        let (backend, request, is_ipv6) = match self {
            Self::NfTables { backend, source } => match source {
                NfTablesError::NoExtension { modules, .. } => return modules.clone(),
                NfTablesError::Socket(_) | NfTablesError::Unreadable { .. } => {
                    return modules::of_backend(*backend);
                }
                NfTablesError::Refused { change, errno, .. } if is_missing(*errno) => {
                    (*backend, change.as_str(), change.contains(" ip6 "))
                }
                _ => return Vec::new(),
            },
            Self::Xtables(XtablesError::Refused {
                backend,
                program,
                stderr,
                request,
                ..
            }) if !is_about_access(stderr) => {
                (*backend, request.as_str(), program.contains("ip6tables"))
            }
            Self::Xtables(XtablesError::NoKernel { modules, .. }) => return modules.clone(),
            Self::Xtables(_) => return Vec::new(),
        };
        let named = modules::of_request(backend, is_ipv6, request);
        if named.is_empty() {
            modules::of_backend(backend)
        } else {
            named
        }
    }
}

/// Whether the kernel refuses a request with that error if a module is missing.
fn is_missing(errno: i32) -> bool {
    matches!(
        Errno::from_raw(errno),
        Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT
    )
}

/// Whether the program may not change rules, or did not get the lock.
fn is_about_access(stderr: &str) -> bool {
    ["Permission denied", "not permitted", "xtables lock"]
        .iter()
        .any(|words| stderr.contains(words))
}
