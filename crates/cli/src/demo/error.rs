//! Errors of the demo.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use mesh_cni_netns::{EnterError, OpenError, ProgramError, ReadError};
use mesh_cni_plan::PLUGIN_TYPE;
use thiserror::Error;

use super::wait::WaitError;

/// Why the demo cannot continue.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    #[error("the demo creates network namespaces, which requires root")]
    NotRoot,
    #[error("`{program}` not found in {searched}")]
    Missing { program: String, searched: String },
    #[error("cannot {what}")]
    System {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}`")]
    Wait {
        program: String,
        #[source]
        source: WaitError,
    },
    #[error("`{program}` failed with {status}: {output}")]
    Failed {
        program: String,
        status: ExitStatus,
        output: String,
    },
    #[error("unexpected output of `{program}`: `{output}`")]
    Unexpected { program: String, output: String },
    #[error("{command} by {plugin} failed: {message}")]
    Plugin {
        plugin: String,
        command: &'static str,
        message: String,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Enter(#[from] EnterError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    #[error("an earlier `demo --keep` is still running, see `{}`", path.display())]
    StillKept { path: PathBuf },
    #[error("`{}` was not written by `demo --keep`", path.display())]
    ForeignState {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl DemoError {
    /// An argument of `map_err`; `what` completes `cannot …`.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }

    /// The remedy.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotRoot => Some("run `sudo mesh-cnictl demo`, or `make demo`"),
            Self::Missing { .. } => Some(
                "`make demo` builds and installs everything; on Debian the packages are \
                 containernetworking-plugins, iptables and util-linux",
            ),
            Self::StillKept { .. } => Some("remove it with `mesh-cnictl demo --cleanup`"),
            Self::ForeignState { .. } => Some("inspect the file, then delete it"),
            // The details of our own plugin's errors contain the remedy.
            Self::Plugin { plugin, .. } if plugin == PLUGIN_TYPE => None,
            Self::Plugin { .. } | Self::Read(_) => Some(
                "the kernel modules bridge, veth, nf_nat and xt_owner are required; \
                 in a container, run it with --privileged",
            ),
            _ => None,
        }
    }
}
