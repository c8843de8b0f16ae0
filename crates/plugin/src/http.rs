//! As much of HTTP/1.1 as one request to the agent or to the API server needs: a request without a
//! body or with one, a whole answer of limited size, and a deadline that holds for all of it.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use thiserror::Error;

/// The largest answer that is read: Kubernetes stores no object that comes near it.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// How many header lines an answer may have.
const MAX_HEADERS: usize = 64;

/// A stream whose reads and writes can be told how long they may take.
pub(crate) trait Timed: Read + Write {
    /// No single read or write takes longer.
    fn set_patience(&mut self, patience: Duration) -> io::Result<()>;
}

/// A moment by which everything must be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("no answer in time")]
    Late,
    #[error("the answer is no HTTP/1.1: {0}")]
    Malformed(httparse::Error),
    #[error("the answer ends too early")]
    Short,
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
}

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// What is left; an error where nothing is.
    pub(crate) fn left(self) -> Result<Duration, HttpError> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HttpError::Late);
        }
        Ok(left)
    }
}

/// Sends the request and reads the answer; the connection is of no more use then.
pub(crate) fn ask(
    stream: &mut impl Timed,
    request: &[u8],
    deadline: Deadline,
) -> Result<Answer, HttpError> {
    send(stream, request, deadline)?;
    receive(stream, deadline)
}

/// Sends the request; the answer is read by [`receive`].
pub(crate) fn send(
    stream: &mut impl Timed,
    request: &[u8],
    deadline: Deadline,
) -> Result<(), HttpError> {
    stream.set_patience(deadline.left()?)?;
    stream.write_all(request).map_err(late)?;
    stream.flush().map_err(late)
}

/// Reads the answer to what was sent; the connection is of no more use then.
pub(crate) fn receive(stream: &mut impl Timed, deadline: Deadline) -> Result<Answer, HttpError> {
    let mut text = Vec::new();
    loop {
        if let Some(answer) = whole(&text, End::NotYet)? {
            return Ok(answer);
        }
        if text.len() > MAX_ANSWER {
            return Err(HttpError::TooLarge);
        }
        stream.set_patience(deadline.left()?)?;
        if read_some(stream, &mut text)? == 0 {
            return whole(&text, End::Reached)?.ok_or(HttpError::Short);
        }
    }
}

/// Whether more may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Reached,
}

fn read_some(stream: &mut impl Timed, text: &mut Vec<u8>) -> Result<usize, HttpError> {
    let mut piece = [0; 4 * 1024];
    let count = match stream.read(&mut piece) {
        // Servers that close without saying so in TLS; the length tells whether all is there.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        other => other.map_err(late)?,
    };
    text.extend_from_slice(&piece[..count]);
    Ok(count)
}

/// The answer, if all of it is there.
fn whole(text: &[u8], end: End) -> Result<Option<Answer>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(text).map_err(HttpError::Malformed)? else {
        return Ok(None);
    };
    let rest = &text[length..];
    let body = match extent(head.headers) {
        Extent::Length(length) => rest.get(..length).map(<[u8]>::to_vec),
        Extent::Chunks => unchunked(rest)?,
        Extent::UntilEnd => (end == End::Reached).then(|| rest.to_vec()),
    };
    let status = head.code.unwrap_or_default();
    Ok(body.map(|body| Answer { status, body }))
}

/// How an answer tells where it ends.
enum Extent {
    Length(usize),
    Chunks,
    UntilEnd,
}

fn extent(headers: &[httparse::Header<'_>]) -> Extent {
    let value = |name: &str| {
        let mut named = headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        named
            .next()
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let chunked =
        value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = value("content-length").and_then(|value| value.trim().parse().ok());
    match length {
        _ if chunked => Extent::Chunks,
        Some(length) => Extent::Length(length),
        None => Extent::UntilEnd,
    }
}

/// The body in those chunks, if the last of them is there.
fn unchunked(mut text: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(text).map_err(|_invalid| HttpError::Short)?;
        let httparse::Status::Complete((head, size)) = size else {
            return Ok(None);
        };
        let Ok(size) = usize::try_from(size) else {
            return Err(HttpError::TooLarge);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let end = head.saturating_add(size);
        let Some(chunk) = text.get(head..end) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        text = text.get(end.saturating_add(2)..).unwrap_or_default();
    }
}

fn late(error: io::Error) -> HttpError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => HttpError::Late,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives an answer in pieces, and takes everything.
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

    impl Timed for Pieces {
        fn set_patience(&mut self, _: Duration) -> io::Result<()> {
            Ok(())
        }
    }

    fn answer(pieces: &[&'static [u8]]) -> Result<Answer, HttpError> {
        let deadline = Deadline::after(Duration::from_secs(60));
        ask(&mut Pieces(pieces.to_vec()), b"GET", deadline)
    }

    fn body(pieces: &[&'static [u8]]) -> String {
        let answer = answer(pieces).unwrap();
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
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
        let end: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"];
        for pieces in [length, chunks, end] {
            assert_eq!(body(pieces), "hello");
        }
    }

    #[test]
    fn what_is_not_whole_is_no_answer() {
        let short: [&[&[u8]]; 4] = [
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
            &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell"],
            &[b"HTTP/1.1 200"],
            &[],
        ];
        for pieces in short {
            assert!(
                matches!(answer(pieces), Err(HttpError::Short)),
                "{pieces:?}"
            );
        }
        let nonsense = answer(&[b"SSH-2.0\r\n\r\n"]);
        assert!(matches!(nonsense, Err(HttpError::Malformed(_))));
        let chunk = answer(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"]);
        assert!(matches!(chunk, Err(HttpError::Short)));
    }

    #[test]
    fn nothing_is_begun_behind_the_deadline() {
        let past = Deadline::after(Duration::ZERO);
        let late = ask(&mut Pieces(Vec::new()), b"GET", past);
        assert!(matches!(late, Err(HttpError::Late)));
    }
}
