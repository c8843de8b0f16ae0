//! The host on which a program of a test runs.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use crate::IsolatedHost;

/// This machine, or an isolated host on it.
#[derive(Clone, Debug)]
pub enum Host {
    /// The namespaces of the test.
    Local,
    /// The namespaces of the isolated host.
    Isolated(Arc<IsolatedHost>),
}

impl Host {
    /// A command that runs there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Local => Command::new(program),
            Self::Isolated(isolated_host) => isolated_host.command(program),
        }
    }
}
