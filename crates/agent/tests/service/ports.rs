//! Ports that other programs use: the agent works without them and listens as soon as they are free.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::agent::{Agent, Response};
use crate::api_server::ApiServer;
use crate::keeping::until_response;
use crate::objects::pod;

/// The status of the response; `None` if the port refuses the connection.
fn get(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    drop(write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: 10.0.0.7\r\n\r\n"
    ));
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    let code = str::from_utf8(&start[9..]).unwrap().parse().unwrap();
    (code != 503).then_some(code)
}

#[test]
fn a_port_in_use_is_reported_and_used_when_it_is_free() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = other.local_addr().unwrap();
    let server = ApiServer::new([pod("cart", "c-1")]);
    let flags = ["--health-addr", &address.to_string()];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    let why = format!("degraded: port `health`: cannot listen on address {address}: ");
    until_response(&agent, "/readyz", 200, &why);
    agent.wait_for_any_line("free the port, or choose another with --health-addr");
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
    let status: Value = serde_json::from_str(&agent.get("/v1/status").body).unwrap();
    assert_eq!(status["state"], "running", "{status}");
    assert!(
        status["why"].as_str().unwrap().starts_with(&why),
        "{status}"
    );
    let metrics = agent.get("/metrics").body;
    for line in [
        "mesh_cni_listening{port=\"health\"} 0",
        "mesh_cni_degraded 1",
        "mesh_cni_ready 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    drop(other);
    assert_eq!(agent.port("health"), address);
    assert_eq!(get(address, "/readyz"), Some(200));
    let ready = agent.get("/readyz").body;
    assert!(!ready.contains("degraded"), "{ready}");
    let metrics = agent.get("/metrics").body;
    for line in [
        "mesh_cni_listening{port=\"health\"} 1",
        "mesh_cni_degraded 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn an_address_that_the_node_does_not_have_is_not_fatal() {
    let server = ApiServer::new([pod("cart", "c-1")]);
    let flags = ["--health-addr", "192.0.2.1:8000"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    agent.wait_for_any_line("cannot listen on address 192.0.2.1:8000");
    assert_eq!(agent.get("/v1/pods/shop/cart?uid=c-1").code, 200);
}

#[test]
fn one_client_cannot_use_every_place_of_a_port_for_long() {
    let server = ApiServer::new([]);
    let flags = ["--health-addr", "127.0.0.1:0"];
    let agent = Agent::start(&flags, |directory| server.kubeconfig(directory));
    let address = agent.port("health");
    let mut open: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let refused = open.split_off(4);
    for mut stream in refused {
        assert_eq!(Response::read(&mut stream).code, 503);
    }
    assert_eq!(
        agent.get("/healthz").code,
        200,
        "the socket has its own places"
    );
    // The places become free at the deadline for the head of a request.
    while get(address, "/healthz").is_none() {
        thread::sleep(Duration::from_millis(200));
    }
    drop(open);
}
