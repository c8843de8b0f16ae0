//! An HTTP/1.1 response and what its body contains.

use httparse::{Header, Status};
use mesh_cni_selector::PodFacts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::client::HttpError;
use crate::pod::{PodAnswer, PodAnswerError};

/// How many header lines a response may have.
const MAX_HEADERS: usize = 64;

/// How much of a text is used as a message.
const MAX_MESSAGE_CHARS: usize = 300;

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The JSON body of the agent's responses with another status than 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, in one line.
    pub error: String,
}

/// A response that does not contain what was requested.
#[derive(Debug, Error)]
pub enum ResponseError {
    /// The status is not 200.
    #[error("status {status}: {message}")]
    Status {
        /// The status code.
        status: u16,
        /// The agent's message.
        message: String,
    },
    /// The body is not the JSON that was expected.
    #[error("cannot parse the response")]
    Json(#[from] serde_json::Error),
    /// The body requires support for fields that this program does not know.
    #[error(transparent)]
    Pod(PodAnswerError),
}

impl Response {
    /// The body as JSON, if the status is 200.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ResponseError> {
        Ok(serde_json::from_slice(self.ok()?)?)
    }

    /// The facts in the response to a request for a pod.
    pub fn pod_facts(&self) -> Result<PodFacts, ResponseError> {
        match PodAnswer::from_json(self.ok()?) {
            Ok(answer) => Ok(answer.facts),
            Err(PodAnswerError::Json(error)) => Err(ResponseError::Json(error)),
            Err(error) => Err(ResponseError::Pod(error)),
        }
    }

    /// The agent's message in a response with another status than 200: the beginning of the first
    /// line of the error body, or else of the text.
    pub fn message(&self) -> String {
        let text = match serde_json::from_slice::<ErrorBody>(&self.body) {
            Ok(body) => body.error.into(),
            Err(_) => String::from_utf8_lossy(&self.body),
        };
        match text.trim().lines().next() {
            None => "no further details".to_owned(),
            Some(line) => line.chars().take(MAX_MESSAGE_CHARS).collect(),
        }
    }

    fn ok(&self) -> Result<&[u8], ResponseError> {
        match self.status {
            200 => Ok(&self.body),
            status => Err(ResponseError::Status {
                status,
                message: self.message(),
            }),
        }
    }
}

/// Whether the server closed the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
}

/// The response, if `text` contains all of it.
pub(crate) fn parse(text: &[u8], end: End) -> Result<Option<Response>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let Status::Complete(length) = head.parse(text).map_err(HttpError::Malformed)? else {
        return Ok(None);
    };
    let rest = &text[length..];
    let chunked = header(head.headers, "transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = header(head.headers, "content-length").and_then(|value| value.trim().parse().ok());
    let body = match length {
        _ if chunked => join_chunks(rest)?,
        Some(length) => rest.get(..length).map(<[u8]>::to_vec),
        None => (end == End::Closed).then(|| rest.to_vec()),
    };
    let status = head.code.unwrap_or_default();
    Ok(body.map(|body| Response { status, body }))
}

fn header<'text>(headers: &[Header<'text>], name: &str) -> Option<&'text str> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .and_then(|header| str::from_utf8(header.value).ok())
}

/// The body in these chunks, if the last chunk is there.
fn join_chunks(mut text: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(text).map_err(|_invalid| HttpError::Incomplete)?;
        let Status::Complete((start, size)) = size else {
            return Ok(None);
        };
        let Ok(size) = usize::try_from(size) else {
            return Err(HttpError::TooLarge);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let end = start.saturating_add(size);
        let Some(chunk) = text.get(start..end) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        text = text.get(end.saturating_add(2)..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        let body = body.into();
        Response { status, body }
    }

    #[test]
    fn a_status_other_than_200_is_an_error_with_the_agents_message() {
        for (body, message) in [
            (r#"{"error": "no such pod"}"#, "status 404: no such pod"),
            ("not found\nhere", "status 404: not found"),
            (r#"{"error": "no\nsuch pod"}"#, "status 404: no"),
            ("", "status 404: no further details"),
        ] {
            let error = response(404, body).pod_facts().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_body_of_another_type_is_an_error() {
        let error = response(200, "[").json::<ErrorBody>().unwrap_err();
        assert!(matches!(error, ResponseError::Json(_)), "{error}");
        let error = response(200, r#"{"required": ["x"]}"#).pod_facts();
        assert!(matches!(error, Err(ResponseError::Pod(_))));
    }
}
