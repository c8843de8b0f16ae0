//! HTTP/1.1 on the agent's sockets, within limits of size, time and number.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How many connections a listener serves at once; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// How long a whole request may take, answer included. A pod may be waited for, then fetched.
const REQUEST: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A request whose body was read.
pub(crate) type Asked = Request<Bytes>;

/// Something that takes connections.
pub(crate) trait Listen: Sync {
    type Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Listen for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Connection> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Listen for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Connection> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Serves until the task is dropped. Bodies above `max_body` bytes are refused.
pub(crate) async fn serve<L, A, F>(listener: L, max_body: usize, answer: A)
where
    L: Listen,
    A: Fn(Asked) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok(connection) => {
                let served = connect(connection, max_body, answer.clone());
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Too many open files, most likely: closed ones make room.
                debug!("accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connect<C, A, F>(connection: C, max_body: usize, answer: A)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Asked) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(whole(request, max_body, answer).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        // The plugin closes behind a report without waiting for the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        debug!("connection: {}", crate::one_line(&error));
    }
}

async fn whole<A, F>(request: Request<Incoming>, max_body: usize, answer: A) -> Answer
where
    A: Fn(Asked) -> F,
    F: Future<Output = Answer>,
{
    let work = async {
        let (head, body) = request.into_parts();
        match Limited::new(body, max_body).collect().await {
            Ok(body) => answer(Request::from_parts(head, body.to_bytes())).await,
            Err(error) if error.is::<LengthLimitError>() => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            Err(_) => plain(StatusCode::BAD_REQUEST, "the body ends too early"),
        }
    };
    let late = || plain(StatusCode::GATEWAY_TIMEOUT, "this takes too long");
    timeout(REQUEST, work).await.unwrap_or_else(|_| late())
}

/// An answer for people.
pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    answer(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// An answer of that media type.
pub(crate) fn answer(status: StatusCode, media_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let media_type = hyper::header::HeaderValue::from_static(media_type);
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, media_type);
    answer
}
