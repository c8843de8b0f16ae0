//! The `Host` of a request to the socket.
//!
//! The socket can be forwarded to a port of a person's machine. A web page of someone else cannot read
//! what that port serves unless its own name resolves to a loopback address (DNS rebinding). Such a
//! request has that name as its host, so only the names of this list get a response.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use http::request::Parts;
use http::uri::Authority;
use hyper::header::HOST;

/// The host that our own clients send.
const AGENT: &str = "agent";

/// Whether the request names a loopback address, `localhost` or `agent`. A program that requests a
/// path of the API may also use another name without a dot, which no public DNS server has.
pub(crate) fn is_local(request: &Parts, api: bool) -> bool {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Some(authority) = host
        .to_str()
        .ok()
        .and_then(|host| Authority::from_str(host).ok())
    else {
        return false;
    };
    let names = [Some(&authority), request.uri.authority()];
    names
        .into_iter()
        .flatten()
        .all(|name| is_local_name(name, api))
}

fn is_local_name(authority: &Authority, api: bool) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(v6) = v6 {
        return v6
            .parse()
            .is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost")
        || host.eq_ignore_ascii_case(AGENT)
        || host
            .parse()
            .is_ok_and(|address: Ipv4Addr| address.is_loopback())
        || api && !host.contains('.')
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(uri: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn loopback_names_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]",
            "[::1]:8000",
            "agent",
        ] {
            assert!(is_local(&request("/", &[host]), false), "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in [
            "evil.example",
            "evil.example:8000",
            "10.0.0.7",
            "0.0.0.0",
            "[::]",
            "[fd00::1]:80",
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.1",
            "2130706433",
            "intranet",
            "localhost evil",
        ] {
            assert!(!is_local(&request("/", &[host]), false), "{host}");
        }
        assert!(!is_local(&request("/", &[]), false));
        assert!(!is_local(&request("/", &["localhost", "localhost"]), false));
        assert!(!is_local(
            &request("http://evil.example/", &["localhost"]),
            false
        ));
    }

    #[test]
    fn a_program_may_use_any_name_that_is_not_in_public_dns() {
        assert!(is_local(&request("/v1/status", &["node"]), true));
        for host in ["evil.example", "10.0.0.7", "[fd00::1]", "a@node"] {
            assert!(!is_local(&request("/v1/status", &[host]), true), "{host}");
        }
    }
}
