//! A blocking HTTP/1.1 client for one exchange over a stream, with one deadline for all of it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use thiserror::Error;

use crate::response::{End, Response, parse};

/// The largest response that is read, in bytes. Kubernetes stores no object of this size.
pub(crate) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// The moment when an exchange must be complete.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// A stream whose reads and writes end at a deadline, however slowly the peer sends or takes bytes.
#[derive(Debug)]
pub struct Bounded<S> {
    /// The stream itself.
    pub stream: S,
    deadline: Deadline,
}

/// A stream that limits the time of one read or write.
pub trait SetTimeout {
    /// Sets the longest time that each of the next reads and writes may take.
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
}

/// One exchange over a stream that has a deadline: a request, then its response.
///
/// The request is sent by [`get`](Self::get) or [`send`](Self::send), the response is read by
/// [`receive`](Self::receive), so that the caller can work in between.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
}

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

    /// The time until then, or an error of kind `TimedOut`.
    pub fn remaining(self) -> io::Result<Duration> {
        let remaining = self.0.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(remaining)
    }
}

impl<S> Bounded<S> {
    /// That stream until that deadline.
    pub fn new(stream: S, deadline: Deadline) -> Self {
        Self { stream, deadline }
    }
}

impl<S: SetTimeout> Bounded<S> {
    fn limit(&self) -> io::Result<()> {
        self.stream.set_timeout(self.deadline.remaining()?)
    }
}

impl<S: Read + SetTimeout> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.read(buffer)
    }
}

impl<S: Write + SetTimeout> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl SetTimeout for UnixStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }
}

impl SetTimeout for TcpStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }
}

impl<S> Client<Bounded<S>> {
    /// The stream, for example to ask which process is at its other end.
    pub fn stream(&self) -> &S {
        &self.stream.stream
    }
}

impl Client<Bounded<UnixStream>> {
    /// Connects to the agent's socket. The timeout is for the whole exchange: to connect, send and
    /// receive.
    pub fn connect(socket: &Path, timeout: Duration) -> Result<Self, HttpError> {
        let deadline = Deadline::after(timeout);
        let stream = connect(socket, timeout).map_err(io_error)?;
        Ok(Self::new(Bounded::new(stream, deadline)))
    }
}

/// Connects within that time. The connection of a Unix socket waits only while the listener's queue
/// is full, and no longer than the socket's time limit for sending.
fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

impl<S: Read + Write> Client<S> {
    /// A client for one exchange over that stream.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// Sends a `GET` request for one of the agent's [paths](crate::path).
    pub fn get(&mut self, path: &str) -> Result<(), HttpError> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
        self.send(request.as_bytes())
    }

    /// Sends a request as it is, head and body.
    pub fn send(&mut self, request: &[u8]) -> Result<(), HttpError> {
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
