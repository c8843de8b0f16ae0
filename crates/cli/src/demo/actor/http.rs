//! As much HTTP/1.1 as two pods of a demo need: one GET a connection, JSON answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How long one read or write may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any request or answer here.
const LIMIT: u64 = 64 << 10;

/// Who answered a request, and whom it saw asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The answering program.
    pub(crate) who: String,
    /// The user as which it runs.
    pub(crate) uid: u32,
    /// The address at which it was asked.
    pub(crate) at: SocketAddr,
    /// Who asked it, as it sees it.
    pub(crate) peer: SocketAddr,
    /// What it was answered itself, where it asked somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Upstream>,
}

/// What a program that asked another one got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Upstream {
    Answered(Box<Answer>),
    Failed { error: String },
}

/// A request without an answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("no answer from {to}")]
    NoAnswer {
        to: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the answer from {to} cannot be read: `{head}`")]
    Foreign { to: SocketAddr, head: String },
}

/// Sends one GET and reads the answer.
pub(super) fn get(to: SocketAddr, path: &str) -> Result<Answer, HttpError> {
    let text = exchange(to, path).map_err(|source| HttpError::NoAnswer { to, source })?;
    let answer = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let fine = head.starts_with("HTTP/1.1 200 ");
        serde_json::from_str(body).ok().filter(|_| fine)
    });
    answer.ok_or_else(|| HttpError::Foreign {
        to,
        head: text.lines().next().unwrap_or_default().to_owned(),
    })
}

fn exchange(to: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    limit_waits(&stream)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the head of a request and gives back its path.
pub(super) fn read_request(stream: &TcpStream) -> io::Result<String> {
    limit_waits(stream)?;
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

fn limit_waits(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}
