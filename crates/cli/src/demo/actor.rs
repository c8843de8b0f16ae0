//! The roles that this program plays in its own demo, each a process of its own.

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

/// What a process says once it can be used.
pub(crate) const READY: &str = "ready";
/// Asks a process for its report.
pub(crate) const REPORT: &str = "report";
/// Tells a process to live on when its stdin ends.
pub(crate) const KEEP: &str = "keep";

/// The first argument of every process of the demo; no command of a person's.
pub(crate) const ACTOR: &str = "demo-process";

/// Who plays what.
#[derive(Debug, Parser)]
#[command(name = ACTOR)]
pub(crate) enum Role {
    /// Holds a network namespace: one of its own, or with --here the caller's.
    Pause {
        #[arg(long)]
        here: bool,
    },
    /// Answers HTTP requests, and on /productpage asks another one itself.
    App {
        name: String,
        #[arg(long)]
        listen: Vec<SocketAddr>,
        #[arg(long)]
        upstream: Option<SocketAddr>,
    },
    /// Stands in for Envoy: forwards to the original destination.
    Proxy,
    /// Sends one request and prints the answer.
    Client { to: SocketAddr, path: String },
}

/// Plays the role to its end.
pub(crate) fn play(role: &Role, console: &mut Console<'_>) -> Result<Exit, Failure> {
    match role {
        Role::Pause { here } => {
            if !here {
                unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            }
            live(console, String::new)
        }
        Role::App {
            name,
            listen,
            upstream,
        } => {
            app::start(name, listen, *upstream)?;
            live(console, String::new)
        }
        Role::Proxy => {
            let log = proxy::start()?;
            live(console, || log.take())
        }
        Role::Client { to, path } => client::ask(*to, path, console),
    }
}

/// Lives as long as its stdin, or for ever where it is told `keep`.
fn live(console: &mut Console<'_>, report: impl Fn() -> String) -> Result<Exit, Failure> {
    console.line(READY)?;
    let mut keep = false;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            REPORT => console.line(report())?,
            word => keep = word == KEEP,
        }
    }
    if keep {
        loop {
            thread::park();
        }
    }
    Ok(Exit::Done)
}

/// Takes connections on a thread of their own; the address is bound when this comes back.
fn listen(
    address: SocketAddr,
    serve: impl Fn(std::net::TcpStream) + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = std::net::TcpListener::bind(address)?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    Ok(())
}

/// Writes and forgets: whoever hung up does not want it.
fn write_all(mut to: impl Write, bytes: &[u8]) {
    let _written = to.write_all(bytes).and_then(|()| to.flush());
}
