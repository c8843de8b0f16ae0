//! The part of HTTP/1.1 that the demo needs: one GET for each connection, JSON answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The timeout of one read or write.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request or answer, in bytes.
const LIMIT: u64 = 64 << 10;

/// The answer to a request: the server, and the client as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The name of the server.
    pub(crate) who: String,
    /// Its user ID.
    pub(crate) uid: u32,
    /// Its local address.
    pub(crate) at: SocketAddr,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The result of the server's own request, if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Upstream>,
}

/// The result of a server's own request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Upstream {
    Answered(Box<Answer>),
    Failed { error: String },
}

/// A request without a valid answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("no answer from {to}")]
    NoAnswer {
        to: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("invalid answer from {to}: `{head}`")]
    Invalid { to: SocketAddr, head: String },
}

/// Sends one GET and reads the answer.
pub(super) fn get(to: SocketAddr, path: &str) -> Result<Answer, HttpError> {
    let text = exchange(to, path).map_err(|source| HttpError::NoAnswer { to, source })?;
    let answer = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let is_ok = head.starts_with("HTTP/1.1 200 ");
        serde_json::from_str(body).ok().filter(|_| is_ok)
    });
    answer.ok_or_else(|| HttpError::Invalid {
        to,
        head: text.lines().next().unwrap_or_default().to_owned(),
    })
}

fn exchange(to: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, TIMEOUT)?;
    set_timeouts(&stream)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the head of a request, and returns its path.
pub(super) fn read_request(stream: &TcpStream) -> io::Result<String> {
    set_timeouts(stream)?;
    let mut head = BufReader::new(stream.take(LIMIT)).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or("/");
    Ok(path.to_owned())
}

/// The bytes of an answer.
pub(super) fn response(answer: &Answer) -> Vec<u8> {
    let body = serde_json::to_string(answer).expect("texts and numbers are always JSON") + "\n";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn set_timeouts(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))
}
