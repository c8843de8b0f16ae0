//! An HTTP/1.1 server with limits for the size, time and number of requests. Each connection carries
//! one request.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::limits::{Limits, MAX_HEAD_BYTES};
use super::places::FreePlaces;

/// The response to a connection without a place.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 5\r\n\r\nbusy\n";

/// A response with its body.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// A request with its body.
pub(crate) type HttpRequest = Request<Bytes>;

/// Accepts connections.
pub(crate) trait Accept: Sync {
    type Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address of its client if it has one.
    fn accept(&self)
    -> impl Future<Output = io::Result<(Self::Connection, Option<IpAddr>)>> + Send;

    /// Lets the kernel drop what a client does not read for that long.
    fn limit_unread(connection: &Self::Connection, time: Duration);
}

impl Accept for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Option<IpAddr>)> {
        Self::accept(self).await.map(|(stream, _)| (stream, None))
    }

    /// The kernel drops it when the connection closes.
    fn limit_unread(_: &Self::Connection, _: Duration) {}
}

impl Accept for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Option<IpAddr>)> {
        let (stream, client) = Self::accept(self).await?;
        Ok((stream, Some(client.ip())))
    }

    fn limit_unread(connection: &Self::Connection, time: Duration) {
        let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = setsockopt(connection, TcpUserTimeout, &milliseconds) {
            debug!("TCP_USER_TIMEOUT: {error}");
        }
    }
}

/// Responds to requests.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// The size of the largest body that this request may have, in bytes.
    fn max_body(&self, request: &Parts) -> usize;

    fn respond(&self, request: HttpRequest) -> impl Future<Output = HttpResponse> + Send;
}

/// Serves until it is dropped. A connection without a place gets status 503 at once.
pub(crate) async fn serve<L: Accept, H: Handler>(
    listener: L,
    places: FreePlaces,
    limits: Limits,
    handler: H,
) -> Infallible {
    loop {
        let (mut connection, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Probably too many open files; connections that close free some.
                debug!("accept: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = places.take(client) else {
            // The buffer of a new connection has space, so this never waits.
            drop(connection.write_all(BUSY).now_or_never());
            continue;
        };
        L::limit_unread(&connection, limits.read);
        let (places, limits, handler) = (places.clone(), limits.clone(), handler.clone());
        tokio::spawn(async move {
            serve_connection(connection, &places, &limits, handler).await;
            drop(place);
        });
    }
}

async fn serve_connection<C, H>(connection: C, places: &FreePlaces, limits: &Limits, handler: H)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let (responds, mut responded) = mpsc::channel(1);
    let service = service_fn(|request| {
        let (handler, responds) = (handler.clone(), responds.clone());
        async move {
            let response = respond(request, limits, handler).await;
            let (response, reserved) = match places.reserve(size(&response)) {
                Some(reserved) => (response, Some(reserved)),
                None => (busy("too many responses wait to be read"), None),
            };
            drop(responds.try_send(reserved));
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        // The plugin closes its side after a report without waiting for the response.
        .half_close(true)
        .serve_connection(TokioIo::new(connection), service);
    let deadline = async {
        let request = limits.head + limits.body + limits.response;
        // The response keeps its reservation until it is read or dropped.
        let _reserved = timeout(request, responded.recv()).await;
        sleep(limits.read).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served {
            debug!("connection: {}", crate::error_chain(&error));
        },
        () = deadline => debug!("connection: the client does not read the response"),
    }
}

async fn respond(
    request: Request<Incoming>,
    limits: &Limits,
    handler: impl Handler,
) -> HttpResponse {
    let (head, body) = request.into_parts();
    let max_body = handler.max_body(&head);
    if max_body == 0 && !body.is_end_stream() {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "this request has no body");
    }
    let body = match timeout(limits.body, Limited::new(body, max_body).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
        }
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the body is incomplete"),
        Err(_elapsed) => {
            return plain(
                StatusCode::REQUEST_TIMEOUT,
                "the body does not arrive in time",
            );
        }
    };
    timeout(
        limits.response,
        handler.respond(Request::from_parts(head, body)),
    )
    .await
    .unwrap_or_else(|_elapsed| plain(StatusCode::GATEWAY_TIMEOUT, "the response takes too long"))
}

fn size(response: &HttpResponse) -> usize {
    let bytes = response.body().size_hint().exact().unwrap_or(u64::MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A response with one or more lines of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> HttpResponse {
    response(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// The response if the agent works at its limits.
pub(crate) fn busy(why: &str) -> HttpResponse {
    plain(StatusCode::SERVICE_UNAVAILABLE, &format!("busy: {why}"))
}

/// A response with that media type.
pub(crate) fn response(status: StatusCode, media_type: &'static str, body: String) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;

    use super::super::limits::Places;
    use super::*;

    const BODY: usize = 1024 * 1024;

    /// Responds with a large body to `/large`, and never to any other path.
    #[derive(Clone)]
    struct Large;

    impl Handler for Large {
        fn max_body(&self, _: &Parts) -> usize {
            0
        }

        async fn respond(&self, request: HttpRequest) -> HttpResponse {
            if request.uri().path() != "/large" {
                pending::<()>().await;
            }
            plain(StatusCode::OK, &"x".repeat(BODY))
        }
    }

    /// A server in that directory that has space for two large bodies.
    fn start(directory: &Path) -> Arc<Path> {
        let path: Arc<Path> = directory.join("socket").into();
        let short = Duration::from_millis(500);
        let limits = Limits {
            response: short,
            read: short,
            ..Limits::default()
        };
        let places = FreePlaces::new(Places {
            connections: 10,
            per_address: 10,
            unread_bytes: 5 * BODY / 2,
        });
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(serve(listener, places, limits, Large));
        path
    }

    async fn request(socket: &Path, path: &str) -> tokio::net::UnixStream {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = tokio::net::UnixStream::from_std(stream).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn code(stream: &mut tokio::net::UnixStream) -> String {
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        String::from_utf8_lossy(&start[9..]).into_owned()
    }

    #[tokio::test]
    async fn unread_responses_are_limited_and_lose_their_connections() {
        let directory = tempfile::tempdir().unwrap();
        let socket = start(directory.path());
        let mut unread = Vec::new();
        for expected in ["200", "200", "503"] {
            let mut stream = request(&socket, "/large").await;
            assert_eq!(code(&mut stream).await, expected);
            unread.push(stream);
        }
        // A client that reads gets the whole response as soon as another has lost its connection.
        let whole = loop {
            let mut stream = request(&socket, "/large").await;
            let code = code(&mut stream).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            if code == "200" {
                break rest;
            }
        };
        assert!(whole.len() > BODY);
        let mut first = Vec::new();
        unread[0].read_to_end(&mut first).await.unwrap();
        assert!(first.len() < BODY, "{} bytes", first.len());
    }

    #[tokio::test]
    async fn a_response_that_takes_too_long_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let socket = start(directory.path());
        let mut stream = request(&socket, "/never").await;
        assert_eq!(code(&mut stream).await, "504");
    }
}
