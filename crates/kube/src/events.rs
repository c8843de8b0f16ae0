//! The events of a watch, one line of JSON each.

use std::marker::PhantomData;
use std::pin::Pin;

use crate::api::MAX_OBJECT_BYTES;
use crate::api_error::{ApiError, ErrorStatus, invalid};
use crate::decode::{Keep, decode};
use crate::object::{Object, read};
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A watch that is open.
pub struct EventStream<O, B> {
    body: Pin<Box<B>>,
    object: PhantomData<O>,
}

/// One event.
pub struct ApiEvent<O> {
    /// The version after the event; `None` if the event has none.
    pub version: Option<String>,
    /// What happened.
    pub change: ApiChange<O>,
}

/// The content of an event.
pub enum ApiChange<O> {
    /// `ADDED` or `MODIFIED`.
    Apply(O),
    /// `DELETED`.
    Delete(O),
    /// `BOOKMARK`: only the version changed.
    Bookmark,
    /// An event that cannot be used, and why.
    Invalid(String),
}

impl<O: Object, B: AsyncBufRead> EventStream<O, B> {
    /// Reads the events from the body of a response.
    pub fn new(body: B) -> Self {
        Self {
            body: Box::pin(body),
            object: PhantomData,
        }
    }

    /// The next event; `None` at the end of the watch.
    pub async fn next(&mut self) -> Result<Option<ApiEvent<O>>, ApiError> {
        match self.line().await? {
            Some(line) => event(&line).map(Some),
            None => Ok(None),
        }
    }

    /// The next line, without its end. A line that is not complete is not returned.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        let mut line = Vec::new();
        loop {
            let chunk = self.body.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.body.as_mut().consume(used);
            if line.len() as u64 > MAX_OBJECT_BYTES {
                return Err(ApiError::TooLarge(MAX_OBJECT_BYTES));
            }
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

/// An event of type `ERROR` is an error.
pub fn event<O: Object>(line: &[u8]) -> Result<ApiEvent<O>, ApiError> {
    let decoded = decode(line, O::EVENT).map_err(invalid)?;
    let (event, is_cut) = (decoded.value, decoded.is_cut);
    let object = &event["object"];
    let change = match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => read(object, is_cut).map(ApiChange::Apply),
        Some("DELETED") => read(object, is_cut).map(ApiChange::Delete),
        Some("BOOKMARK") => Ok(ApiChange::Bookmark),
        Some("ERROR") => return Err(status(line)),
        other => Err(format!("unknown type {other:?}")),
    };
    let version = object["metadata"]["resourceVersion"].as_str();
    Ok(ApiEvent {
        version: version
            .filter(|version| !version.is_empty())
            .map(str::to_owned),
        change: change.unwrap_or_else(ApiChange::Invalid),
    })
}

/// The `Status` in the event, such as that of an expired version.
fn status(line: &[u8]) -> ApiError {
    let keep = const { &Keep::Fields(&[("object", ErrorStatus::KEEP)]) };
    match decode(line, keep) {
        Ok(event) => ApiError::Status(ErrorStatus::from_object(&event.value["object"])),
        Err(error) => invalid(error),
    }
}
