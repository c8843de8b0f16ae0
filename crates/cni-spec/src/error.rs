//! Errors with the codes of the CNI specification.

use std::fmt;

use mesh_cni_text::escaped;
use serde_json::{Map, Value};

use crate::{SpecVersion, version};

/// An error code: one of the specification's section "Error", or the plugin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 1: the plugin does not support the configuration's version.
    IncompatibleVersion,
    /// 2: a field is not supported; the message names it and its value.
    UnsupportedField,
    /// 3: the container is unknown, so the runtime does not need to clean up.
    UnknownContainer,
    /// 4: environment variables are missing or invalid; the message names them.
    InvalidEnvironment,
    /// 5: the configuration cannot be read.
    Io,
    /// 6: the configuration cannot be decoded.
    Decoding,
    /// 7: the configuration is invalid.
    InvalidNetworkConfig,
    /// 11: a temporary failure; the runtime should retry.
    TryAgainLater,
    /// 50: an ADD cannot succeed now (STATUS).
    PluginNotAvailable,
    /// 51: as 50, and running containers may have limited connectivity (STATUS).
    PluginNotAvailableLimited,
    /// 999: a bug in the plugin.
    Internal,
    /// 100 and up: the plugin's own codes. Numbers below 100 are reserved for the specification,
    /// so they become 999.
    Plugin(u32),
}

impl ErrorCode {
    /// Every code except the plugin's own.
    const SPECIFIED: [Self; 11] = [
        Self::IncompatibleVersion,
        Self::UnsupportedField,
        Self::UnknownContainer,
        Self::InvalidEnvironment,
        Self::Io,
        Self::Decoding,
        Self::InvalidNetworkConfig,
        Self::TryAgainLater,
        Self::PluginNotAvailable,
        Self::PluginNotAvailableLimited,
        Self::Internal,
    ];

    /// The number.
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
    pub fn from_number(number: u32) -> Option<Self> {
        Self::SPECIFIED
            .into_iter()
            .find(|code| code.number() == number)
            .or_else(|| (number >= 100).then_some(Self::Plugin(number)))
    }

    /// A general remedy; empty if there is none.
    const fn remedy(self) -> &'static str {
        match self {
            Self::InvalidEnvironment => {
                "the container runtime sets the environment; see the CNI specification, section \
                 Parameters"
            }
            Self::Io => "the container runtime writes the network configuration to stdin; retry",
            Self::Decoding => {
                "the container runtime writes the network configuration to stdin: check the list \
                 in its configuration directory with a JSON checker"
            }
            Self::InvalidNetworkConfig | Self::UnsupportedField => {
                "fix the named field in the network configuration list on the node"
            }
            Self::TryAgainLater => "the container runtime retries automatically",
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

/// A failed operation, as reported to the runtime: `code`, `msg` and `details`.
///
/// Both texts are a single line each, since runtimes copy them to logs and Kubernetes events: line
/// breaks and other control characters become spaces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg} (CNI error code {code})")]
pub struct CniError {
    code: ErrorCode,
    msg: String,
    details: String,
}

impl CniError {
    /// An error with the general remedy of its code. The message names the problem.
    pub fn new(code: ErrorCode, msg: impl AsRef<str>) -> Self {
        Self {
            code,
            msg: one_line(msg.as_ref()),
            details: code.remedy().to_owned(),
        }
    }

    /// Replaces the general remedy.
    #[must_use]
    pub fn with_details(mut self, details: impl AsRef<str>) -> Self {
        self.details = one_line(details.as_ref());
        self
    }

    /// Code 1: the version in the field at `path` is not supported.
    pub(crate) fn incompatible(path: &str, found: &str, supported: &[SpecVersion]) -> Self {
        let supported = version::join(supported);
        let details = format!("field `{path}` is `{found}`, supported versions are {supported}");
        Self::new(ErrorCode::IncompatibleVersion, "incompatible CNI versions").with_details(details)
    }

    /// Code 4: the environment is invalid; the message names the variables.
    pub fn environment(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidEnvironment, msg)
    }

    /// Code 5: stdin cannot be read.
    pub fn io(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Io, msg)
    }

    /// Code 6: stdin cannot be decoded.
    pub fn decoding(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Decoding, msg)
    }

    /// Code 7: the configuration is invalid; the message names field and value.
    pub fn config(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::InvalidNetworkConfig, msg)
    }

    /// Code 11: a temporary failure; the runtime should retry.
    pub fn try_again(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::TryAgainLater, msg)
    }

    /// Code 50: an ADD cannot succeed now.
    pub fn not_available(msg: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::PluginNotAvailable, msg)
    }

    /// Code 999: a bug in the plugin.
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

    /// The problem, on one line.
    pub fn msg(&self) -> &str {
        &self.msg
    }

    /// The remedy, on one line; may be empty.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The error object for stdout, without `details` if they are empty.
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

/// Replaces each run of line breaks, tabs and surrounding spaces with one space, and escapes other
/// control and format characters.
fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_control() && character.is_whitespace())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(escaped)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_a_single_line() {
        let error = CniError::plugin(100, "no\r\n  nat\ttable\n").with_details("load\nit");
        assert_eq!(
            error.to_value(SpecVersion::V1_0_0).to_string(),
            r#"{"cniVersion":"1.0.0","code":100,"msg":"no nat table","details":"load it"}"#
        );
    }

    #[test]
    fn numbers_and_codes_correspond() {
        for number in 0..2000 {
            if let Some(code) = ErrorCode::from_number(number) {
                assert_eq!(code.number(), number);
            }
        }
        assert_eq!(
            ErrorCode::Plugin(7).number(),
            999,
            "reserved numbers become 999"
        );
    }
}
