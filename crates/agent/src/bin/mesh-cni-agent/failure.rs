//! A command that failed: message, hint and exit code.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use mesh_cni_installer::{DiskError, Error, error_chain};

use crate::report::print_error;

/// A command that failed.
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: &'static str,
}

impl Failure {
    /// Wrong use, with the message of an error.
    pub(crate) fn wrong_use(error: &(dyn StdError + 'static), hint: &'static str) -> Self {
        Self::wrong(error_chain(error), hint)
    }

    /// Wrong use, with that message.
    pub(crate) fn wrong(message: String, hint: &'static str) -> Self {
        Self {
            code: 2,
            message,
            hint,
        }
    }

    /// A file with fields of the entry that cannot be read.
    pub(crate) fn bad_file(
        file: &Path,
        error: &(dyn StdError + 'static),
        hint: &'static str,
    ) -> Self {
        let message = format!("entry in `{}`: {}", file.display(), error_chain(error));
        Self::wrong(message, hint)
    }

    /// The environment failed.
    pub(crate) fn environment(error: &(dyn StdError + 'static), hint: &'static str) -> Self {
        Self {
            code: 3,
            message: error_chain(error),
            hint,
        }
    }

    /// Puts what failed before the message.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The manual cannot be written.
    pub(crate) fn manual(directory: &Path, error: &io::Error) -> Self {
        Self {
            code: 3,
            message: format!("cannot write to `{}`: {error}", directory.display()),
            hint: "give --dir an existing directory, such as /usr/local/share/man/man1",
        }
    }

    /// The result cannot be printed.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self {
            code: 3,
            message: format!("cannot write to stdout: {error}"),
            hint: "the work is done: run `mesh-cni-agent status` for the result",
        }
    }

    /// Prints message and hint, and returns the exit code.
    pub(crate) fn print(&self) -> ExitCode {
        print_error(&format!("error: {}\nhint: {}", self.message, self.hint));
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::environment(&error, error.remedy())
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Error::from(error).into()
    }
}
