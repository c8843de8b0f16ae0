//! A blocking HTTP/1.1 client for one exchange over a stream, with one deadline for all of it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::response::{End, Response, parse};

/// The largest response that is read, in bytes. Kubernetes stores no object of this size.
pub(crate) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// The moment when an exchange must be complete.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// One exchange: a request, then its response.
///
/// The request is sent by [`get`](Self::get) or [`send`](Self::send), the response is read by
/// [`receive`](Self::receive), so that the caller can work in between.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    set_timeout: SetTimeout<S>,
    deadline: Deadline,
}

/// Sets the longest time that one read or write of the stream may take.
type SetTimeout<S> = fn(&S, Duration) -> io::Result<()>;

/// A failed exchange.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Connecting, writing or reading failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The deadline passed.
    #[error("no response in time")]
    Timeout,
    /// The response does not follow HTTP/1.1.
    #[error("the response is not HTTP/1.1: {0}")]
    Malformed(httparse::Error),
    /// The connection ended before the response was complete.
    #[error("the response is incomplete")]
    Incomplete,
    /// The response is too large.
    #[error("the response is larger than {MAX_RESPONSE_BYTES} bytes")]
    TooLarge,
}

impl Deadline {
    /// The moment after that time from now.
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    fn remaining(self) -> Result<Duration, HttpError> {
        let remaining = self.0.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(HttpError::Timeout);
        }
        Ok(remaining)
    }
}

impl Client<UnixStream> {
    /// Connects to the agent's socket.
    ///
    /// Connecting itself can exceed the timeout if the agent accepts no connections. A caller that
    /// must not wait connects a non-blocking socket and uses [`new`](Self::new).
    pub fn connect(socket: &Path, timeout: Duration) -> Result<Self, HttpError> {
        let deadline = Deadline::after(timeout);
        Ok(Self::new(UnixStream::connect(socket)?, deadline))
    }

    /// A client for one exchange with the agent over a blocking stream.
    pub fn new(stream: UnixStream, deadline: Deadline) -> Self {
        Self::over(stream, deadline, |stream, timeout| {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))
        })
    }
}

impl<S: Read + Write> Client<S> {
    /// A client for one exchange over any stream, with the function that sets the longest time that
    /// one read or write may take.
    pub fn over(stream: S, deadline: Deadline, set_timeout: SetTimeout<S>) -> Self {
        Self {
            stream,
            set_timeout,
            deadline,
        }
    }

    /// Sends a `GET` request for one of the agent's [paths](crate::path).
    pub fn get(&mut self, path: &str) -> Result<(), HttpError> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
        self.send(request.as_bytes())
    }

    /// Sends a request as it is, head and body.
    pub fn send(&mut self, request: &[u8]) -> Result<(), HttpError> {
        (self.set_timeout)(&self.stream, self.deadline.remaining()?)?;
        self.stream.write_all(request).map_err(io_error)?;
        self.stream.flush().map_err(io_error)
    }

    /// Reads the response.
    pub fn receive(mut self) -> Result<Response, HttpError> {
        let mut text = Vec::new();
        loop {
            if let Some(response) = parse(&text, End::Open)? {
                return Ok(response);
            }
            if text.len() > MAX_RESPONSE_BYTES {
                return Err(HttpError::TooLarge);
            }
            (self.set_timeout)(&self.stream, self.deadline.remaining()?)?;
            if self.read_some(&mut text)? == 0 {
                return parse(&text, End::Closed)?.ok_or(HttpError::Incomplete);
            }
        }
    }

    fn read_some(&mut self, text: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut buffer = [0; 4 * 1024];
        let count = match self.stream.read(&mut buffer) {
            // A TLS server may close without `close_notify`; the length shows if data is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            result => result.map_err(io_error)?,
        };
        text.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn io_error(error: io::Error) -> HttpError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => HttpError::Timeout,
        _ => error.into(),
    }
}
