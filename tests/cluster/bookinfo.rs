//! A service of the bookinfo sample: it answers over HTTP with its name and with the answers of the
//! services that it calls.
//!
//! ```text
//! bookinfo serve NAME PORT [HOST:PORT…]   answers until it is stopped
//! bookinfo get HOST:PORT                  sends one request; exit code 0 if the answer is 200
//! bookinfo validate LISTEN CONNECT CODE    the validation container of a mesh; exit code CODE without rules
//! ```
//!
//! It needs no files of its image, and ends on SIGTERM.

#![forbid(unsafe_code)]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mesh_cni_tests::validate;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The deadline for an answer of a service.
const MOST: Duration = Duration::from_secs(60);

/// The deadline of a validation.
const VALIDATION: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", name, port, ref called @ ..] => serve(name, port, called),
        ["validate", listen, connect, code] => return validation(listen, connect, code),
        ["get", address] => get(address).and_then(|body| io::stdout().write_all(body.as_bytes())),
        _ => Err(io::Error::other(
            "serve NAME PORT [HOST:PORT…], get HOST:PORT or validate LISTEN CONNECT CODE",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "bookinfo: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn validation(listen: &str, connect: &str, code: &str) -> ExitCode {
    let parsed = (listen.parse(), connect.parse(), code.parse::<u8>());
    let (Ok(listen), Ok(connect), Ok(code)) = parsed else {
        return ExitCode::from(2);
    };
    match validate(listen, connect, VALIDATION) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "bookinfo: {error}"));
            ExitCode::from(code)
        }
    }
}

fn serve(name: &str, port: &str, called: &[&str]) -> io::Result<()> {
    let port = port.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (name, called) = (name.to_owned(), owned(called));
    // There is nothing to clean up.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (name, called) = (name.clone(), called.clone());
            thread::spawn(move || drop(answer(stream, &name, &called)));
        }
    });
    signals.forever().next();
    Ok(())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Answers one request: 200 with a line for each called service, or 502 if one did not answer.
fn answer(mut stream: TcpStream, name: &str, called: &[String]) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let mut body = format!("{name}\n");
    let mut status = "200 OK";
    for address in called {
        match get(address) {
            Ok(answer) => body += &answer,
            Err(error) => {
                status = "502 Bad Gateway";
                body += &[address.as_str(), ": ", &error.to_string(), "\n"].concat();
            }
        }
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// The body of the service's answer, whose status must be 200.
fn get(address: &str) -> io::Result<String> {
    let resolved = address.to_socket_addrs()?.next();
    let resolved = resolved.ok_or_else(|| io::Error::other("no such host"))?;
    let mut stream = TcpStream::connect_timeout(&resolved, MOST)?;
    stream.set_read_timeout(Some(MOST))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(
            head.lines().next().unwrap_or("no answer").to_owned(),
        )),
    }
}
