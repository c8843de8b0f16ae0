//! The operations of `CNI_COMMAND`.

use std::fmt;
use std::str::FromStr;

use crate::SpecVersion;

/// The operation that the runtime requests in `CNI_COMMAND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Attach a container to the network, or change an attachment.
    Add,
    /// Check that the attachment is still as ADD set it up. Since 0.4.0.
    Check,
    /// Remove an attachment.
    Del,
    /// Remove the resources of attachments that no longer exist. Since 1.1.0.
    Gc,
    /// Check whether an ADD can succeed now. Since 1.1.0.
    Status,
    /// Report the versions that the plugin supports.
    Version,
}

/// A `CNI_COMMAND` that is not one of [`Command::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CNI_COMMAND is `{found}`, expected one of ADD, CHECK, DEL, GC, STATUS, VERSION")]
pub struct UnknownCommand {
    /// The value.
    pub found: String,
}

impl Command {
    /// Every command, in alphabetical order.
    pub const ALL: &'static [Self] = &[
        Self::Add,
        Self::Check,
        Self::Del,
        Self::Gc,
        Self::Status,
        Self::Version,
    ];

    /// The command as written in `CNI_COMMAND`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The oldest version that has this command.
    pub const fn since(self) -> SpecVersion {
        match self {
            Self::Add | Self::Del | Self::Version => SpecVersion::V0_1_0,
            Self::Check => SpecVersion::V0_4_0,
            Self::Gc | Self::Status => SpecVersion::V1_1_0,
        }
    }
}

impl FromStr for Command {
    type Err = UnknownCommand;

    fn from_str(text: &str) -> Result<Self, UnknownCommand> {
        Self::ALL
            .iter()
            .copied()
            .find(|command| command.as_str() == text)
            .ok_or_else(|| UnknownCommand {
                found: text.to_owned(),
            })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_case_sensitive() {
        for command in Command::ALL {
            assert_eq!(command.as_str().parse(), Ok(*command));
        }
        for text in ["", "add", "ADD ", "UPDATE"] {
            assert!(text.parse::<Command>().is_err(), "{text:?}");
        }
    }
}
