//! The six operations that a runtime may ask for in `CNI_COMMAND`.

use std::fmt;
use std::str::FromStr;

use crate::SpecVersion;

/// What the runtime asks for, from `CNI_COMMAND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Attach a container to the network, or change an attachment.
    Add,
    /// Is the attachment still as ADD left it? Since 0.4.0.
    Check,
    /// Take an attachment down.
    Del,
    /// Remove what belongs to attachments that are no more. Since 1.1.0.
    Gc,
    /// Could an ADD work now? Since 1.1.0.
    Status,
    /// Which versions does the plugin speak?
    Version,
}

/// A `CNI_COMMAND` that is none of [`Command::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CNI_COMMAND is `{found}`, but must be one of ADD, CHECK, DEL, GC, STATUS, VERSION")]
pub struct UnknownCommand {
    /// What stood there instead.
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

    /// The command as it is written in `CNI_COMMAND`.
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

    /// The oldest version whose configurations may be used with this command.
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
        let known = Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == text);
        known.ok_or_else(|| UnknownCommand {
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
    fn commands_are_upper_case_and_exact() {
        for command in Command::ALL {
            assert_eq!(command.as_str().parse(), Ok(*command));
        }
        for text in ["", "add", "ADD ", "UPDATE"] {
            assert!(text.parse::<Command>().is_err(), "{text:?}");
        }
    }
}
