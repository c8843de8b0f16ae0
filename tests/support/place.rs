//! Where a program of a test runs.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use crate::Enclosure;

/// On this machine as it is, or in an enclosure of it.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the namespaces of the test.
    Machine,
    /// In those of the enclosure.
    Enclosure(Arc<Enclosure>),
}

impl Place {
    /// A command that runs there.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Machine => Command::new(program),
            Self::Enclosure(enclosure) => enclosure.command(program),
        }
    }
}
