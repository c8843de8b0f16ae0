//! An HTTP/1.1 server with limits for the size, time and number of requests.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How many connections one listener serves at once. More wait to be accepted.
const MAX_CONNECTIONS: usize = 512;

/// The time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for a request with its response. It may wait for a pod and then request the pod from
/// the API server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A response with its body.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// A request with its body.
pub(crate) type HttpRequest = Request<Bytes>;

/// Accepts connections.
pub(crate) trait Accept: Sync {
    type Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Accept for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Connection> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Connection> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Serves until the task is dropped. Larger bodies than `max_body` bytes are refused.
pub(crate) async fn serve<L, H, F>(listener: L, max_body: usize, handler: H)
where
    L: Accept,
    H: Fn(HttpRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await;
        match listener.accept().await {
            Ok(connection) => {
                let served = serve_connection(connection, max_body, handler.clone());
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Probably too many open files; connections that close free some.
                debug!("accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_connection<C, H, F>(connection: C, max_body: usize, handler: H)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(HttpRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(respond(request, max_body, handler).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        // The plugin closes its side after a report without waiting for the response.
        .half_close(true)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        debug!("connection: {}", crate::error_chain(&error));
    }
}

async fn respond<H, F>(request: Request<Incoming>, max_body: usize, handler: H) -> HttpResponse
where
    H: Fn(HttpRequest) -> F,
    F: Future<Output = HttpResponse>,
{
    let response = async {
        let (head, body) = request.into_parts();
        match Limited::new(body, max_body).collect().await {
            Ok(body) => handler(Request::from_parts(head, body.to_bytes())).await,
            Err(error) if error.is::<LengthLimitError>() => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            Err(_) => plain(StatusCode::BAD_REQUEST, "the body is incomplete"),
        }
    };
    timeout(REQUEST_TIMEOUT, response)
        .await
        .unwrap_or_else(|_| plain(StatusCode::GATEWAY_TIMEOUT, "the request takes too long"))
}

/// A response with one or more lines of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> HttpResponse {
    response(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// A response with that media type.
pub(crate) fn response(status: StatusCode, media_type: &'static str, body: String) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
