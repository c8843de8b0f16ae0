//! The application: identifies itself, and as productpage requests reviews, as in bookinfo.

use std::io;
use std::net::{SocketAddr, TcpStream};

use nix::unistd::getuid;

use super::http::{Answer, Upstream, get, read_request, response};
use super::write_all;

/// The path for which an application sends a request to its upstream.
const PRODUCTPAGE: &str = "/productpage";
const REVIEWS: &str = "/reviews/0";

/// Listens on each address; returns when all are bound.
pub(super) fn start(
    name: &str,
    addresses: &[SocketAddr],
    upstream: Option<SocketAddr>,
) -> io::Result<()> {
    for address in addresses {
        let name = name.to_owned();
        let serve = move |stream: TcpStream| {
            // A request that cannot be read is not answered.
            if let Ok(answer) = answer(&stream, &name, upstream) {
                write_all(&stream, &response(&answer));
            }
        };
        super::listen(*address, serve)?;
    }
    Ok(())
}

fn answer(stream: &TcpStream, name: &str, upstream: Option<SocketAddr>) -> io::Result<Answer> {
    let path = read_request(stream)?;
    let upstream = upstream.filter(|_| path == PRODUCTPAGE);
    Ok(Answer {
        who: name.to_owned(),
        uid: getuid().as_raw(),
        at: stream.local_addr()?,
        peer: stream.peer_addr()?,
        upstream: upstream.map(request),
    })
}

fn request(upstream: SocketAddr) -> Upstream {
    match get(upstream, REVIEWS) {
        Ok(answer) => Upstream::Answered(Box::new(answer)),
        Err(error) => Upstream::Failed {
            error: error_reporter::Report::new(error).to_string(),
        },
    }
}
