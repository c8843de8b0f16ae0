//! The workloads of the demo's pods. This program runs each of them in a separate process.

mod app;
mod client;
mod http;
mod proxy;

pub(crate) use http::{Answer, Upstream};
pub(crate) use proxy::Connection;

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::thread;

use clap::Parser;
use nix::sched::{CloneFlags, unshare};

use crate::console::Console;
use crate::failure::{Exit, Failure};

/// A process prints this line when it is ready.
pub(crate) const READY: &str = "ready";
/// This line on its stdin asks a process for its report.
pub(crate) const REPORT: &str = "report";
/// After this line on its stdin, a process keeps running when stdin closes.
pub(crate) const KEEP: &str = "keep";

/// The hidden command that runs a workload.
pub(crate) const COMMAND: &str = "demo-process";

/// The workloads with their arguments.
#[derive(Debug, Parser)]
#[command(name = COMMAND)]
pub(crate) enum Workload {
    /// Keeps a network namespace alive: a new one, or with --here the caller's.
    Pause {
        #[arg(long)]
        here: bool,
    },
    /// Answers HTTP requests; for /productpage it sends a request to its upstream.
    App {
        name: String,
        #[arg(long)]
        listen: Vec<SocketAddr>,
        #[arg(long)]
        upstream: Option<SocketAddr>,
    },
    /// A small replacement for the mesh's proxy: forwards to the original destination.
    Proxy(proxy::Ports),
    /// Sends one request, and prints the answer.
    Client { to: SocketAddr, path: String },
}

/// Runs a workload until it ends.
pub(crate) fn run(workload: &Workload, console: &mut Console<'_>) -> Result<Exit, Failure> {
    match workload {
        Workload::Pause { here } => {
            if !here {
                unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            }
            serve(console, String::new)
        }
        Workload::App {
            name,
            listen,
            upstream,
        } => {
            app::start(name, listen, *upstream)?;
            serve(console, String::new)
        }
        Workload::Proxy(ports) => {
            let log = proxy::start(*ports)?;
            serve(console, || log.take())
        }
        Workload::Client { to, path } => client::request(*to, path, console),
    }
}

/// Runs until stdin closes, or forever after `keep`.
fn serve(console: &mut Console<'_>, report: impl Fn() -> String) -> Result<Exit, Failure> {
    console.line(READY)?;
    let mut keep = false;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            REPORT => console.line(report())?,
            line => keep = line == KEEP,
        }
    }
    if keep {
        loop {
            thread::park();
        }
    }
    Ok(Exit::Done)
}

/// Binds the address, and handles each connection on its own thread.
fn listen(
    address: SocketAddr,
    handle: impl Fn(std::net::TcpStream) + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = std::net::TcpListener::bind(address)?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    Ok(())
}

/// Writes everything. Errors are ignored: the peer closed the connection.
fn write_all(mut to: impl Write, bytes: &[u8]) {
    let _written = to.write_all(bytes).and_then(|()| to.flush());
}
