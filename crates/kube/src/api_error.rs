//! Why a request to the API server failed.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use mesh_cni_text::{escaped, truncated};
use serde_json::Value;

use crate::decode::{Keep, decode};

/// The most that is read of an error response, in bytes.
pub(crate) const MAX_ERROR_BYTES: u64 = 64 << 10;

/// The most that is kept of a text in it, in bytes.
const MAX_TEXT: usize = 1 << 10;

/// A failed request to the API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The credentials or the server's address cannot be read.
    #[error("no access to the API server")]
    Access(#[source] Box<dyn Error + Send + Sync>),
    /// The request failed without a response.
    #[error("the API server did not answer: {}", last_cause(.0))]
    Request(Box<kube::Error>),
    /// The API server returned an error.
    #[error("the API server answered {0}")]
    Status(ErrorStatus),
    /// The time limit was exceeded.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// Other requests for objects took too long, so this one was not sent.
    #[error("too many requests to the API server are waiting")]
    Busy,
    /// The connection failed before the response was complete.
    #[error("the connection to the API server ended")]
    Read(#[from] std::io::Error),
    /// The response is not what was requested.
    #[error("the API server returned an invalid response: {0}")]
    Invalid(String),
    /// The response is larger than this number of bytes.
    #[error("the API server returned more than {0} bytes")]
    TooLarge(u64),
}

/// An error that the API server returned, with texts of limited length and without control
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorStatus {
    /// The HTTP status.
    pub code: u16,
    /// For example `Forbidden`; empty if the response has none.
    pub reason: String,
    /// The message for people.
    pub message: String,
}

impl ApiError {
    /// The HTTP status, if the API server returned an error.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the response itself is at fault, so that the same request would fail again.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::TooLarge(_))
    }

    /// Whether the agent's role lacks a right. An admission policy also returns 403.
    pub fn lacks_right(&self) -> bool {
        match self {
            Self::Status(status) if status.code == 401 => true,
            Self::Status(status) => {
                status.code == 403 && status.message.contains("is forbidden: User ")
            }
            _ => false,
        }
    }

    /// Whether the API server refused a change although the agent has the right, as an admission
    /// policy or a webhook does.
    pub fn is_refused_change(&self) -> bool {
        matches!(self.code(), Some(403 | 422)) && !self.lacks_right()
    }
}

impl ErrorStatus {
    pub(crate) const KEEP: &'static Keep = &Keep::Fields(&[
        ("code", &Keep::All),
        ("reason", &Keep::All),
        ("message", &Keep::All),
    ]);

    /// Reads a `Status` object.
    pub(crate) fn from_object(object: &Value) -> Self {
        let text = |field: &str| short(object[field].as_str().unwrap_or_default());
        let code = object["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok());
        Self {
            code: code.unwrap_or_default(),
            reason: text("reason"),
            message: text("message"),
        }
    }

    /// Reads the beginning of a response with that HTTP status. Something between agent and API server
    /// may have returned it, so it may be any text.
    pub(crate) fn from_response(code: u16, body: &[u8]) -> Self {
        match decode(body, Self::KEEP) {
            Ok(status) if status.value.is_object() => Self {
                code,
                ..Self::from_object(&status.value)
            },
            _ => Self {
                code,
                reason: String::new(),
                message: short(String::from_utf8_lossy(body).trim()),
            },
        }
    }
}

impl fmt::Display for ErrorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            reason,
            message,
        } = self;
        match reason.as_str() {
            "" => write!(f, "{code}: {message}"),
            reason => write!(f, "{code} {reason}: {message}"),
        }
    }
}

impl From<Box<kube::Error>> for ApiError {
    fn from(error: Box<kube::Error>) -> Self {
        Self::Request(error)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` passes errors by value"
)]
pub(crate) fn invalid(reason: impl ToString) -> ApiError {
    ApiError::Invalid(short(&reason.to_string()))
}

/// One phrase: each layer of `kube` repeats the message of its cause, so only the last is used.
fn last_cause(error: &kube::Error) -> String {
    let causes = successors(Some(error as &dyn Error), |&error| error.source());
    let last = causes.last().unwrap_or(error);
    short(&last.to_string())
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let beginning = truncated(text, MAX_TEXT);
    let end = if beginning.len() < text.len() {
        "…"
    } else {
        ""
    };
    escaped(beginning).into_owned() + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(message: &str) -> ApiError {
        let body = serde_json::json!({"code": 403, "reason": "Forbidden", "message": message});
        ApiError::Status(ErrorStatus::from_response(403, body.to_string().as_bytes()))
    }

    #[test]
    fn a_missing_right_is_not_a_refusal_of_an_admission_policy() {
        let role = forbidden(
            "pods \"cart\" is forbidden: User \"system:serviceaccount:kube-system:mesh-cni\" cannot \
             delete resource \"pods\" in API group \"\" in the namespace \"shop\"",
        );
        assert!(role.lacks_right() && !role.is_refused_change());
        for message in [
            "pods \"cart\" is forbidden: ValidatingAdmissionPolicy 'mesh-cni-pods' with binding \
             'mesh-cni-pods' denied request: the pod is not on node a, which the token is bound to",
            "admission webhook \"pods.example.com\" denied the request: no",
            "pods \"cart\" is forbidden: exceeded quota: small",
        ] {
            let refused = forbidden(message);
            assert!(
                refused.is_refused_change() && !refused.lacks_right(),
                "{message}"
            );
        }
    }

    #[test]
    fn texts_of_a_response_are_shortened_and_escaped() {
        let long = "x".repeat(MAX_TEXT * 3);
        for body in [
            format!("\u{1b}[2J{long}"),
            format!("{{\"message\": \"\\u001b[2J{long}\"}}"),
        ] {
            let status = ErrorStatus::from_response(500, body.as_bytes());
            let text = status.to_string();
            assert!(text.len() < MAX_TEXT * 2, "{}", text.len());
            assert!(
                text.starts_with("500: \\u{1b}[2Jx") && text.ends_with('…'),
                "{text}"
            );
        }
        let latin = ErrorStatus::from_response(502, b"caf\xe9");
        assert_eq!(latin.to_string(), "502: caf\u{fffd}");
    }
}
