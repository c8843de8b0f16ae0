//! What an unprivileged user of a node can do with the ports of an agent. Prints `ready` when it has
//! started, and ends with its standard input.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the test waits for the line")]

use std::env::args;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many connections it opens.
const CONNECTIONS: usize = 600;

fn main() -> ExitCode {
    let arguments: Vec<_> = args().skip(1).collect();
    let [what, addresses @ ..] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    if let Ok((_soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _result = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let addresses: Vec<SocketAddr> = addresses.iter().flat_map(|it| it.parse()).collect();
    let mut listeners = Vec::new();
    for address in addresses {
        match what.as_str() {
            "listen" => listeners.push(TcpListener::bind(address)),
            "unfinished" => keep_open(address, b"GET /metrics HTTP/1.1\r\nhost: "),
            "unread" => keep_open(address, b"GET /metrics HTTP/1.1\r\nhost: node\r\n\r\n"),
            "flood" => flood(address),
            _ => return ExitCode::from(2),
        }
    }
    println!("ready");
    drop(io::stdin().read(&mut [0]));
    ExitCode::from(u8::from(listeners.iter().any(Result::is_err)))
}

/// Opens connections, sends the text on each, and opens those again that the agent closes.
fn keep_open(address: SocketAddr, text: &'static [u8]) {
    let open = move || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(text).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    };
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(500));
            for stream in &mut streams {
                // A response stays in the kernel; a closed connection has an end.
                let closed = stream
                    .as_ref()
                    .is_none_or(|it| it.peek(&mut [0; 16384]).is_ok_and(|count| count == 0));
                if closed {
                    *stream = open();
                }
            }
        }
    });
}

/// Sends requests one after the other in some threads.
fn flood(address: SocketAddr) {
    for _ in 0..8 {
        thread::spawn(move || {
            loop {
                let Ok(mut stream) = TcpStream::connect(address) else {
                    continue;
                };
                drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: node\r\n\r\n"));
                drop(io::copy(&mut stream, &mut io::sink()));
            }
        });
    }
}
