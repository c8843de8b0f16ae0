//! The error object that goes out on stdout, and its codes.

use std::fmt;

use serde_json::{Map, Value};

use crate::{SpecVersion, version};

/// What kind of failure it was: the codes of the specification's section "Error", and the
/// plugin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 1: the configuration's version is not spoken here.
    IncompatibleVersion,
    /// 2: a field is known but not supported; the message names it and its value.
    UnsupportedField,
    /// 3: the container is not known, so the runtime need not clean up.
    UnknownContainer,
    /// 4: environment variables are missing or wrong; the message names them.
    InvalidEnvironment,
    /// 5: the configuration could not be read.
    Io,
    /// 6: the configuration could not be decoded.
    Decoding,
    /// 7: the configuration is wrong.
    InvalidNetworkConfig,
    /// 11: something passing; the runtime should try again.
    TryAgainLater,
    /// 50: an ADD could not work now (STATUS).
    PluginNotAvailable,
    /// 51: the same, and containers that run already may be limited (STATUS).
    PluginNotAvailableLimited,
    /// 999: a defect of the plugin itself.
    Internal,
    /// 100 and up: the plugin's own codes. Numbers below 100 belong to the specification and
    /// leave as 999, see [`ErrorCode::number`].
    Plugin(u32),
}

impl ErrorCode {
    /// The number in `code`.
    pub const fn number(self) -> u32 {
        match self {
            Self::IncompatibleVersion => 1,
            Self::UnsupportedField => 2,
            Self::UnknownContainer => 3,
            Self::InvalidEnvironment => 4,
            Self::Io => 5,
            Self::Decoding => 6,
            Self::InvalidNetworkConfig => 7,
            Self::TryAgainLater => 11,
            Self::PluginNotAvailable => 50,
            Self::PluginNotAvailableLimited => 51,
            Self::Plugin(number) if number >= 100 => number,
            Self::Internal | Self::Plugin(_) => 999,
        }
    }

    /// The code with this number; `None` for reserved numbers without a meaning (0, 8, 12 …).
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::IncompatibleVersion,
            2 => Self::UnsupportedField,
            3 => Self::UnknownContainer,
            4 => Self::InvalidEnvironment,
            5 => Self::Io,
            6 => Self::Decoding,
            7 => Self::InvalidNetworkConfig,
            11 => Self::TryAgainLater,
            50 => Self::PluginNotAvailable,
            51 => Self::PluginNotAvailableLimited,
            999 => Self::Internal,
            0..100 => return None,
            own => Self::Plugin(own),
        })
    }
}

impl ErrorCode {
    /// Where to look, when no more is known; empty for a plugin's own codes.
    const fn remedy(self) -> &'static str {
        match self {
            Self::InvalidEnvironment => {
                "the container runtime sets the environment; see the CNI specification, section \
                 Parameters"
            }
            Self::Io => {
                "the container runtime writes the network configuration to stdin; try again"
            }
            Self::Decoding => {
                "the container runtime writes the network configuration to stdin: check the list \
                 in its configuration directory with a JSON checker"
            }
            Self::InvalidNetworkConfig | Self::UnsupportedField => {
                "mend the named field in the network configuration list on the node"
            }
            Self::TryAgainLater => "the container runtime tries again by itself",
            Self::IncompatibleVersion
            | Self::UnknownContainer
            | Self::PluginNotAvailable
            | Self::PluginNotAvailableLimited
            | Self::Internal
            | Self::Plugin(_) => "",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// A failed operation, as the runtime gets to see it: `code`, `msg` and `details`.
///
/// Both texts are one line each: line breaks and other control characters become blanks, since
/// runtimes put them into log lines and Kubernetes events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg} (CNI error code {code})")]
pub struct CniError {
    code: ErrorCode,
    msg: String,
    details: String,
}

impl CniError {
    /// An error with a message that says what is wrong, in one line, and with the remedy that
    /// its code has in general.
    pub fn new(code: ErrorCode, msg: impl AsRef<str>) -> Self {
        Self {
            code,
            msg: one_line(msg.as_ref()),
            details: code.remedy().to_owned(),
        }
    }

    /// Says what helps to put this one right, in place of the general remedy.
    #[must_use]
    pub fn with_details(mut self, details: impl AsRef<str>) -> Self {
        self.details = one_line(details.as_ref());
        self
    }

    /// Code 1: the field at `path` asks for a version that is not spoken here.
    pub(crate) fn incompatible(path: &str, found: &str, supported: &[SpecVersion]) -> Self {
        let supported = version::join(supported);
        let details = format!("field `{path}` is `{found}`, supported are {supported}");
        Self::new(ErrorCode::IncompatibleVersion, "incompatible CNI versions").with_details(details)
    }

    /// Code 4: the environment is wrong; the message names the variables.
    pub fn environment(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidEnvironment, msg)
    }

    /// Code 5: stdin could not be read.
    pub fn io(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Io, msg)
    }

    /// Code 6: stdin could not be decoded.
    pub fn decoding(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Decoding, msg)
    }

    /// Code 7: the configuration is wrong; the message names field and value.
    pub fn config(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidNetworkConfig, msg)
    }

    /// Code 11: passing trouble; the runtime should try again.
    pub fn try_again(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::TryAgainLater, msg)
    }

    /// Code 50: an ADD could not work now.
    pub fn not_available(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::PluginNotAvailable, msg)
    }

    /// Code 999: a defect of the plugin itself.
    pub fn internal(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Internal, msg)
    }

    /// One of the plugin's own codes, 100 and up.
    pub fn plugin(number: u32, msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Plugin(number), msg)
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What is wrong, in one line.
    pub fn msg(&self) -> &str {
        &self.msg
    }

    /// What helps, in one line; empty when there is nothing to add.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The error object for stdout; `details` is left out when empty.
    pub fn to_value(&self, version: SpecVersion) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".to_owned(), version.as_str().into());
        object.insert("code".to_owned(), self.code.number().into());
        object.insert("msg".to_owned(), self.msg.as_str().into());
        if !self.details.is_empty() {
            object.insert("details".to_owned(), self.details.as_str().into());
        }
        Value::Object(object)
    }
}

/// The text with every run of control characters (and the blanks around it) as one blank.
fn one_line(text: &str) -> String {
    let parts = text.split(char::is_control).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_line() {
        let error = CniError::plugin(100, "no\r\n  nat\ttable\n").with_details("load\nit");
        assert_eq!(
            error.to_value(SpecVersion::V1_0_0).to_string(),
            r#"{"cniVersion":"1.0.0","code":100,"msg":"no nat table","details":"load it"}"#
        );
    }

    #[test]
    fn numbers_and_codes_agree() {
        for number in 0..2000 {
            if let Some(code) = ErrorCode::from_number(number) {
                assert_eq!(code.number(), number);
            }
        }
        assert_eq!(
            ErrorCode::Plugin(7).number(),
            999,
            "reserved numbers cannot be borrowed"
        );
    }
}
