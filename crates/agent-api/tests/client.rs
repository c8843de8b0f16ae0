//! Exchanges over a stream that returns the response in pieces.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::time::Duration;

use mesh_cni_agent_api::{Bounded, Client, Deadline, HttpError, POD_TIMEOUT, Response, SetTimeout};

/// Returns one piece for each read, and accepts every write.
struct Pieces(Vec<&'static [u8]>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SetTimeout for Pieces {
    fn set_timeout(&self, _timeout: Duration) -> io::Result<()> {
        Ok(())
    }
}

fn exchange(pieces: &[&'static [u8]], timeout: Duration) -> Result<Response, HttpError> {
    let stream = Bounded::new(Pieces(pieces.to_vec()), Deadline::after(timeout));
    let mut client = Client::new(stream);
    client.get("/v1/status")?;
    client.receive()
}

fn response(pieces: &[&'static [u8]]) -> Result<Response, HttpError> {
    exchange(pieces, Duration::from_secs(60))
}

#[test]
fn a_body_ends_by_its_length_its_chunks_or_the_connection() {
    let length: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"ngth: 5\r\n\r\nhe",
        b"llo",
    ];
    let chunks: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nh",
        b"e\r\n3;x=y\r\nllo\r\n",
        b"0\r\n\r\n",
    ];
    let end: &[&[u8]] = &[b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo"];
    for pieces in [length, chunks, end] {
        let response = response(pieces).unwrap();
        assert_eq!((response.status, &*response.body), (200, &b"hello"[..]));
    }
}

#[test]
fn an_incomplete_response_is_an_error() {
    let incomplete: [&[&[u8]]; 4] = [
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
        &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell"],
        &[b"HTTP/1.1 200"],
        &[],
    ];
    for pieces in incomplete {
        let result = response(pieces);
        assert!(matches!(result, Err(HttpError::Incomplete)), "{pieces:?}");
    }
    let other_protocol = response(&[b"SSH-2.0\r\n\r\n"]);
    assert!(matches!(other_protocol, Err(HttpError::Malformed(_))));
    let chunk = response(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"]);
    assert!(matches!(chunk, Err(HttpError::Incomplete)));
}

#[test]
fn a_response_above_the_limit_is_refused() {
    let mut pieces: Vec<&[u8]> = vec![b"HTTP/1.1 200 OK\r\n\r\n"];
    pieces.resize(1100, &[b'x'; 4096]);
    assert!(matches!(response(&pieces), Err(HttpError::TooLarge)));
}

/// A connection that never gets an answer, and records the time limit of each read and write.
#[derive(Default)]
struct Silent(RefCell<Vec<Duration>>);

impl SetTimeout for &Silent {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.borrow_mut().push(timeout);
        Ok(())
    }
}

impl Read for &Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for &Silent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_silent_agent_is_waited_for_five_seconds_at_most() {
    let silent = Silent::default();
    let mut client = Client::new(Bounded::new(&silent, Deadline::after(POD_TIMEOUT)));
    client.get("/v1/pods/shop/cart").unwrap();
    assert!(matches!(client.receive(), Err(HttpError::Timeout)));
    let limits = silent.0.into_inner();
    assert!(limits.len() >= 2, "{limits:?}");
    // One deadline for the whole exchange: each limit is what is left of it.
    assert!(
        limits.is_sorted_by(|earlier, later| earlier >= later),
        "{limits:?}"
    );
    assert!(limits[0] <= Duration::from_secs(5), "{limits:?}");
}

#[test]
fn nothing_is_sent_after_the_deadline() {
    let result = exchange(&[], Duration::ZERO);
    assert!(matches!(result, Err(HttpError::Timeout)));
}
