//! What can keep the demo from being played.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use mesh_cni_netns::{EnterError, OpenError, ReadError};
use mesh_cni_plan::PLUGIN_TYPE;
use thiserror::Error;

use super::patience::Broken;

/// Why the demo broke off.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    #[error("the demo makes network namespaces, which needs root")]
    NotRoot,
    #[error("no `{program}` in {searched}")]
    Missing { program: String, searched: String },
    #[error("cannot {what}")]
    System {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}`")]
    Waiting {
        program: String,
        #[source]
        source: Broken,
    },
    #[error("`{program}` ended with {status}: {said}")]
    Ended {
        program: String,
        status: ExitStatus,
        said: String,
    },
    #[error("`{program}` said `{said}`, which is not what was asked of it")]
    Unreadable { program: String, said: String },
    #[error("{plugin} refused {command}: {message}")]
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
    Read(#[from] ReadError),
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    #[error("an earlier `demo --keep` still runs, see `{}`", path.display())]
    StillKept { path: PathBuf },
    #[error("`{}` is not what `demo --keep` writes", path.display())]
    ForeignState {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl DemoError {
    /// To be put behind `map_err`, with what was tried.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotRoot => Some("run it as `sudo mesh-cnictl demo`, or `make demo`"),
            Self::Missing { .. } => Some(
                "`make demo` builds and installs what is needed; on Debian the rest is in \
                 containernetworking-plugins, iptables and util-linux",
            ),
            Self::StillKept { .. } => Some("end it by `mesh-cnictl demo --cleanup`"),
            Self::ForeignState { .. } => Some("look at it, then delete it"),
            // Our own plugin's details are the remedy.
            Self::Plugin { plugin, .. } if plugin == PLUGIN_TYPE => None,
            Self::Plugin { .. } | Self::Read(_) => Some(
                "the kernel needs bridge, veth, nf_nat and xt_owner; \
                 in a container, run it with --privileged",
            ),
            _ => None,
        }
    }
}
